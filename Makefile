# What there is to do. `make` alone prints this list.

export CGO_ENABLED = 0

FUZZTIME ?= 10s
BENCH    ?= send
CONFIG   ?= parleyd.toml

.PHONY: help bin hsm check test fuzz sim bench benchmarks demo run gen clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bin: ## build the programs into ./bin
	go build -o bin/ ./cmd/...

hsm: ## build ./bin/parley-hsm for PKCS #11: needs a C compiler
	CGO_ENABLED=1 go build -o bin/ ./cmd/parley-hsm

check: ## formatting, vet and the house style: seconds
	@unformatted=$$(gofmt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go test -count=1 ./internal/lint ./internal/spec

test: check ## everything: vet, lint, unit, vectors, scripts, simulation, fuzz seeds
	go test -timeout 9m ./...

fuzz: ## every fuzz test for FUZZTIME each (10s)
	@go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | while read -r pkg; do \
		list=$$(go test -list '^Fuzz' $$pkg) || exit 1; \
		for name in $$(echo "$$list" | grep '^Fuzz'); do \
			echo "$$pkg $$name"; go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

sim: ## simulated sites and networks only, run anew
	go test -count=1 -run 'Sim' ./...

bench: bin ## measure: BENCH=send|federate|fanout|mls|wrap
	./bin/parley bench $(BENCH) --json

benchmarks: bin ## write the tables of docs/benchmarks.md anew: ten minutes
	./bin/parley bench mls --all --seconds 0.5 --markdown docs/benchmarks.md >/dev/null

demo: bin ## two sites on this machine, step by step; ONCE=1 ends by itself
	./bin/parley demo $(if $(ONCE),--once)

run: bin ## a node with CONFIG (parleyd.toml)
	./bin/parleyd --config $(CONFIG)

gen: ## write again what is generated: api, docs/spec.md, docs/requirements.md
	go run ./internal/spec
	@if command -v protoc >/dev/null; then go generate ./api; else echo "protoc is not installed: Go of api/*.proto left as it is"; fi

clean: ## remove what was built here
	rm -rf bin
