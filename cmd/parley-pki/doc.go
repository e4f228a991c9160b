// Command parley-pki makes and runs a site's certificate services.
//
//	parley-pki init    --> pki/  --nodes/a1--> parleyd (gateway realm)
//	parley-pki code new          --code, by hand--> a person
//	parley-pki enroll  <--code, CSR-- parley login --certificate--> device
//	parley-pki trust add         <--CA bundle, by hand-- another site
//
// It knows the site's CA keys and who its people are. It must not know rooms
// or messages, and runs apart from the gateway. All of its work is done by
// packages coi and coi/service; here are flags, files and words.
package main
