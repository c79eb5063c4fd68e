# The commands of this project. `make` alone lists them.
SHELL := bash
FOR ?=
SEEDS ?= 10000
CRASHES ?= 1000
SOURCE ?= okx

.PHONY: help demo run sql test lint fmt bench bench-peers clients files soak day crash docs fuzz

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: ## build, start every simulated source and the platform on them; FOR=60s stops by itself
	cargo build --locked --profile quick -p app
	./target/quick/qingxi demo $(if $(FOR),--for $(FOR))

run: ## build and read the live venues
	cargo build --locked --profile quick -p app
	./target/quick/qingxi run

sql: ## build qingxi-sql, which answers SQL queries over what is kept
	cargo build --locked --release --manifest-path sql/Cargo.toml --target-dir sql/target

test: ## every test; with QINGXI_RECORDINGS set also those on recordings
	./scripts/test

lint: ## formatting, clippy, licences, layout
	./scripts/lint

fmt: ## format the code
	cargo fmt --all

bench: ## measure, print, and write bench/results/
	cargo run --locked --release -p bench

bench-peers: ## the same frames through peers, in one run
	cargo run --locked --release --manifest-path bench/peers/Cargo.toml

clients: ## public client libraries (ccxt pro, pytdx, from PyPI) against the simulators; VENUES="okx kraken" for some
	./scripts/clients/run

files: ## what polars, DuckDB and pandas read of the store's files, and what they take beside other forms (from PyPI)
	./scripts/files/run sizes

day: ## 24 hours of a venue in virtual time through the whole store; SOURCE=okx
	cargo run --locked --profile quick -p app -- soak --hours 24 --source $(SOURCE)

soak: ## deterministic simulation; SEEDS=10000
	cargo run --locked --profile quick -p app -- soak --seeds $(SEEDS)

crash: ## kill a process that keeps events at random instants, CRASHES=1000; and each operation on its disk, by each fault
	CRASHES=$(CRASHES) FAULTS=all cargo test --locked -p store --test store -- --nocapture crash:: faults::

docs: ## the documentation of all crates
	cargo doc --locked --workspace --no-deps

fuzz: ## a longer fuzz run of every parser (needs cargo-fuzz and a nightly toolchain)
	./scripts/fuzz
