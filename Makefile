# What one does with a clone of aerostat. `make help` lists it; all of it sets itself up.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

BIN := .venv/bin
# Container images set this; but tests start hundreds of processes, and each would compile anew.
unexport PYTHONDONTWRITEBYTECODE
# Options for the commands: make demo ARGS='--for 30', make test-real ARGS='-k inflate'
ARGS :=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: env ## six guests and their memory, in the terminal: real Linux where it can be had
	@$(if $(findstring process,$(ARGS)),,$(BIN)/python tools/lab.py uml ||) true
	@$(BIN)/aerostat demo $(ARGS)

.PHONY: test
test: lint types test-fast test-deep test-real ## what has to pass: lint, types, test-fast, test-deep, test-real

.PHONY: lint
lint: env ## style and formatting (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: env ## static types (mypy, strict)
	$(BIN)/mypy

.PHONY: test-fast
test-fast: env ## unit and property tests, under a minute
	$(BIN)/pytest -n 2 -m 'not uml and not qemu and not libvirt and not slow' $(ARGS)

.PHONY: test-deep
test-deep: env ## the property tests again, with several times as many cases
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -n 2 --timeout 600 \
		-m 'hypothesis and not (uml or qemu or libvirt or slow)' $(ARGS)

.PHONY: test-real
test-real: env lab ## tests with real guests, user-mode Linux and QEMU, and all that is slow
	$(BIN)/pytest -n 2 --dist loadfile -m 'uml or qemu or libvirt or slow' $(ARGS) || { \
		(( $$? == 1 )) && echo && \
		echo '== once more, one after the other: real guests on a busy machine may be late' && \
		$(BIN)/pytest --last-failed --last-failed-no-failures none \
			-m 'uml or qemu or libvirt or slow' $(ARGS); }

# How long `make fuzz` takes, all targets together.
MINUTES := 20
.PHONY: fuzz
fuzz: env ## fuzz all that takes what others send, guided by coverage: MINUTES=60
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet \
		'atheris==3.0.0; python_version < "3.12"' 'atheris==3.1.0; python_version >= "3.12"'
	@$(BIN)/python -m aerostat.testing.fuzz --guided --minutes $(MINUTES) $(ARGS)

.PHONY: trial
trial: env lab ## ten minutes of eight real guests, two of them hostile; a report in build/trial
	@$(BIN)/python -m aerostat.testing.trials $(ARGS)

.PHONY: compare
compare: env lab ## our policy against MOM's and Proxmox's on the same real guests; a report in build/comparison
	@$(BIN)/python -m aerostat.testing.trials.comparison $(ARGS)

.PHONY: calibrate
calibrate: env lab-uml ## the model of guests held against real Linux, by counts; a report in build/calibration
	@$(BIN)/python -m aerostat.testing.trials.calibration $(ARGS)

.PHONY: faults
faults: env lab-uml lab-qemu lab-libvirt ## everything killed, stopped, starved and cut off a thousand times; a report in build/faults
	@$(BIN)/python -m aerostat.testing.trials.faults $(ARGS)

.PHONY: check-kit
check-kit: env ## devices and drivers that are broken on purpose: which of them the kit finds; an hour and a half
	@$(BIN)/python -m aerostat.testing.check.device.faults.finding $(ARGS)
	@$(BIN)/python -m aerostat.testing.check.driver.faults.finding $(ARGS)

.PHONY: check-drivers
check-drivers: env lab-uml ## Linux's driver and ours held to the specification, whole runs
	@$(BIN)/aerostat check driver --guest uml $(ARGS)
	@$(BIN)/aerostat check driver --guest process $(ARGS)

.PHONY: simulate
simulate: env ## all policies on all families of modelled guests; a report in build/simulation
	@$(BIN)/aerostat simulate all --policy all --seeds 101-102 --dialect 16,10,6 \
		--report build/simulation $(ARGS)

.PHONY: bench
bench: env lab-uml ## measure; results in build/bench.json and a table beside it
	$(BIN)/python -m bench $(ARGS)

.PHONY: bench-kvm
bench-kvm: env ## the same with real guests on KVM, where there is one; a report to contribute
	@$(BIN)/python -m bench.kvm $(ARGS)

.PHONY: pictures
pictures: env ## draw the pictures of the documents anew: ARGS=rooms, or ARGS=demo
	$(BIN)/python tools/pictures.py $(ARGS)

.PHONY: statements
statements: env ## say which tests check which statements of the specification
	$(BIN)/python tools/specification.py

.PHONY: reference
reference: env ## write man pages, completion and the API's description anew, in share
	@$(BIN)/python tools/reference.py $(ARGS)

.PHONY: zipapp check-pci
zipapp: env ## the guest's driver in one file, build/aerostat-guest.pyz
	@$(BIN)/python tools/pyz.py guest $(ARGS)
check-pci: env ## the checks of a guest's own balloon in one file, build/aerostat-check.pyz
	@$(BIN)/python tools/pyz.py check $(ARGS)

.PHONY: install uninstall
install: ## install the manager on this machine, as a service (root)
	@./install.sh $(ARGS)
uninstall: ## remove it again (root); configuration and journal stay
	@./install.sh --uninstall $(ARGS)

.PHONY: env
env: ## the development environment, .venv
	@tools/setup.sh

.PHONY: lab
lab: lab-uml lab-qemu lab-libvirt lab-prometheus ## what laboratory guests need, from the distribution

.PHONY: lab-newer lab-python39 lab-s390x
lab-newer: ## QEMU 11, Linux 6.1, 6.12 and the newest, user-mode Linux 6.12 (for tests, 620 MB)
lab-python39: ## the oldest Python that what runs in guests is for (for tests)
lab-s390x: ## a big-endian guest (for tests)

.PHONY: lab-uml lab-qemu lab-libvirt lab-prometheus
lab-uml lab-qemu lab-libvirt lab-prometheus lab-newer lab-python39 lab-s390x: lab-%: env
	@$(BIN)/python tools/lab.py $*

.PHONY: clean
clean: ## remove everything that was made here
	rm -rf build dist .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests bench tools examples -name __pycache__ -prune -exec rm -rf {} +
