#!/bin/sh
# Makes the files of this folder by the openssl program alone: keys,
# certificates, the content of an envelope, and that content sealed. Nothing of
# ours takes part.
#
# These keys open nothing but these files and what tests make.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cat > "$work/certificate" <<'END'
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = finance
[extensions]
subjectKeyIdentifier = hash
END

# $1 is the fourth byte of the part: for how many certificates.
content() {
  cat > "$work/content" <<END
asn1 = SEQUENCE:content
[content]
secret = FORMAT:ASCII,OCTETSTRING:a room key that openssl sealed
attributes = SET:attributes
[attributes]
room = SEQUENCE:room
epoch = SEQUENCE:epoch
keyid = SEQUENCE:keyid
recipients = SEQUENCE:recipients
part = SEQUENCE:part
[room]
type = OID:2.25.1088144229.1.1
values = SET:roomvalue
[roomvalue]
value = FORMAT:UTF8,UTF8String:mimi://alpha.example/r/plans
[epoch]
type = OID:2.25.1088144229.1.2
values = SET:epochvalue
[epochvalue]
value = INTEGER:7
[keyid]
type = OID:2.25.1088144229.1.3
values = SET:keyidvalue
[keyidvalue]
value = FORMAT:HEX,OCTETSTRING:1111111111111111111111111111111111111111111111111111111111111111
[recipients]
type = OID:2.25.1088144229.1.4
values = SET:recipientsvalue
[recipientsvalue]
value = FORMAT:HEX,OCTETSTRING:2222222222222222222222222222222222222222222222222222222222222222
[part]
type = OID:2.25.1088144229.1.5
values = SET:partvalue
[partvalue]
value = FORMAT:HEX,OCTETSTRING:010000$1
END
  openssl asn1parse -genconf "$work/content" -noout -out "$work/content.der"
}

seal() { # seal NAME RECIPIENT...
  name=$1
  shift
  openssl cms -encrypt -binary -aes-256-gcm -keyid -in "$work/content.der" -outform DER -out "$name.der" "$@"
}

openssl req -x509 -config "$work/certificate" -days 36500 -nodes -newkey rsa:3072 -keyout rsa.key -out rsa.pem
for curve in 256 384; do
  openssl req -x509 -config "$work/certificate" -days 36500 -nodes -newkey ec -pkeyopt "ec_paramgen_curve:P-$curve" \
    -keyout "p$curve.key" -out "p$curve.pem"
done

oaep="-keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256"
content 01
seal rsa -recip rsa.pem $oaep
seal p256 -recip p256.pem -keyopt ecdh_kdf_md:sha256
seal p384 -recip p384.pem -keyopt ecdh_kdf_md:sha256
seal p384-sha384 -recip p384.pem -keyopt ecdh_kdf_md:sha384
content 03
seal all -recip rsa.pem $oaep -recip p256.pem -keyopt ecdh_kdf_md:sha256 -recip p384.pem -keyopt ecdh_kdf_md:sha256
