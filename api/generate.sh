#!/usr/bin/env bash
# Generates Go from the .proto files beside it. Needs protoc.
set -euo pipefail
cd "$(dirname "$0")"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/" google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go
for f in */v1/*.proto; do
	PATH="$bin:$PATH" protoc -I . --go_out=. --go_opt=paths=source_relative \
		--connect-go_out=. --connect-go_opt=paths=source_relative "$f"
done
