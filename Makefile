# make run    builds and starts the account server, http://localhost:4001, data in ./data
# make test   installs what the tests need and passes them all
# make faults makes every cause in the running system and asks what it is called
# make bench  measures the figures of docs/performance.md
# make torture kills, fills and breaks the disk under the server while it works

VERSION ?= $(shell git describe --tags --always 2>/dev/null | sed -n 's/^v\([0-9.]*\).*/\1/p' | grep . || echo 0.1.0)
GO      := CGO_ENABLED=0 go
# For builds and tests alike, so that they share what was compiled. The compiler
# makes no tables for debuggers, which the linker would leave out, and collects
# its garbage only from a gigabyte on: together a quarter of its time.
export GOFLAGS := -trimpath -gcflags=all=-dwarf=false '-toolexec=env GOGC=off GOMEMLIMIT=1GiB'
LDFLAGS := -s -w -X main.version=$(VERSION)

# What the program holds and is made: the OPAQUE client of the pages, the one
# thing that npm bundles, and the pages of the causes as HTML.
BUNDLE := web/static/dist/opaque.js
CAUSES := web/static/dist/causes
MADE   := $(BUNDLE) $(CAUSES)

.PHONY: build cross systems run test deps format faults bench torture clean

$(BUNDLE): web/package-lock.json web/package.json agent/common.txt
	cd web && npm ci --no-audit --no-fund --silent && npm run build --silent
	touch $(BUNDLE)

$(CAUSES): $(wildcard docs/causes/*.md docs/causes/*/*.md docs/render/*.go)
	rm -rf $(CAUSES)
	$(GO) run ./docs/render $(CAUSES)

build: $(MADE)
	$(GO) build -ldflags "$(LDFLAGS)" -o bin/readmit ./cmd/readmit

cross: $(MADE)
	GOOS=darwin GOARCH=arm64 $(GO) build -ldflags "$(LDFLAGS)" -o bin/readmit-darwin-arm64 ./cmd/readmit
	GOOS=windows GOARCH=amd64 $(GO) build -ldflags "$(LDFLAGS)" -o bin/readmit-windows-amd64.exe ./cmd/readmit
	GOOS=linux GOARCH=arm64 $(GO) build -ldflags "$(LDFLAGS)" -o bin/readmit-linux-arm64 ./cmd/readmit

# The other systems, for the tests: Windows as it is released, because wine runs
# the same, macOS without optimisation, which takes half of the time and is not
# kept. No file of ours asks for a processor, so what builds for linux/amd64
# builds for linux/arm64.
systems: $(MADE)
	GOOS=darwin GOARCH=arm64 $(GO) build -gcflags "all=-N -l -dwarf=false" -ldflags "$(LDFLAGS)" -o /dev/null ./cmd/readmit
	GOOS=windows GOARCH=amd64 $(GO) build -ldflags "$(LDFLAGS)" -o bin/readmit-windows-amd64.exe ./cmd/readmit

run: build
	./bin/readmit serve --data data --listen 127.0.0.1:4001 --url http://localhost:4001

deps:
	./scripts/deps.sh

format:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }

# All of vet with the tests: by itself it would compile everything once more.
# The packages that mostly wait (for services, databases) begin first, one more
# at a time than there would be, and the other systems are built meanwhile. The
# pages come last: people's patience is in their tests.
WAITING := ./examples/service ./store/postgres ./faults ./server ./signal

test: deps format build
	@$(MAKE) --no-print-directory systems & others=$$!; \
	$(GO) test -vet=all -timeout 9m -p 3 $(WAITING) ./...; tests=$$?; \
	wait $$others && exit $$tests
	$(GO) run ./torture -readmit bin/readmit -rounds 5 -histories 60 -failovers 1 -sign-ins 400 -halts 1

faults: build
	$(GO) run ./faults/matrix

bench: build
	$(GO) run ./bench -readmit bin/readmit

torture: deps build
	$(GO) run ./torture -readmit bin/readmit -rounds 100 -previous history

clean:
	rm -rf bin web/static/dist
