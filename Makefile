# The commands that always work on a fresh Debian 12 or Ubuntu machine, as root, with Go installed.
#   make run        install what is missing, build, start, and run the main job (IMAGE=name trains in another image)
#   make test       install what the tests need and run them all
#   make pkcs11     bawn-pkcs11, which a root key on a PKCS#11 token needs (with gcc and libc6-dev)
#   make bench      benchmarks, written to docs/performance.md
#   make clean-run  remove everything that make run made

SHELL := /bin/bash
export CGO_ENABLED := 0
# The certified FIPS 140-3 module, with its mode on by default in the binary.
export GOFIPS140 := certified
export GOFLAGS := -buildvcs=false

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.release=$(VERSION)

.PHONY: build pkcs11 run test bench lint generate clean clean-run

build: bin/bawn

.PHONY: bin/bawn
bin/bawn:
	@go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/bawn

pkcs11:
	@cd pkcs11 && CGO_ENABLED=1 go build -trimpath -ldflags '-s -w' -o ../bin/bawn-pkcs11 .

generate:
	go generate ./internal/shape

lint:
	@scripts/lint

test:
	@scripts/test

bench:
	@scripts/bench

run:
	@scripts/run $(if $(IMAGE),--image $(IMAGE))

clean-run:
	@scripts/clean-run

clean:
	rm -rf bin .build
