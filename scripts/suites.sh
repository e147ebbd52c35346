# shellcheck shell=bash
# shellcheck disable=SC2034 # used by scripts/test
# What the tests are. Sourced by scripts/test, which runs them.
#
# To add a suite: a row in SUITES and a function `suite_NAME`. In it,
#
#   setup TITLE COMMAND...        gets something that the checks need
#   step TITLE COMMAND...         is a check that passes or fails as a whole
#   cargo_tests TITLE ARGUMENT... is a `cargo test`, of which each test counts
#
# Each of them ends the suite if it fails. A suite never passes over a check because
# something is missing: it gets it, or fails.
#
# A test target that needs more than cargo is declared with `test = false` in its
# Cargo.toml, and named here in WASM_TARGETS, ENVOY_TARGETS, OWN_SUITES or KUBERNETES_TARGETS.
# One that is named in none fails the suite `unit`, so that none is forgotten.

# name | what it checks | what it needs | time on 2 cores, first and again | by default
readonly SUITES=(
    'format|the layout of the code|rustfmt|1 s, 1 s|yes'
    'layers|which crate may use which|python3|1 s, 1 s|yes'
    'lint|clippy for the host and for wasm32, shellcheck|clippy, shellcheck, wasm toolchain|6 min, 5 s|yes'
    'unit|the tests of every crate|cargo|5 min, 1 min|yes'
    'wasm|the filters, built and run in a wasm host|wasm toolchain|3 min, 5 s|yes'
    'envoy|real Envoys, with what we generate and build|wasm toolchain, Envoy|5 min, 1 min|yes'
    'envoy_http|requests through a real Envoy|wasm toolchain, Envoy|5 min, 20 s|yes'
    'envoy_network|TCP connections through a real Envoy|wasm toolchain, Envoy|5 min, 15 s|yes'
    'envoy_discovery|policies that change under a running Envoy|wasm toolchain, Envoy|5 min, 20 s|yes'
    'hostile|what attackers send, to a real Envoy|wasm toolchain, Envoy|6 min, 35 s|yes'
    'same_verdict|3,700 questions to library, test bed and Envoy|wasm toolchain, Envoy|5 min, 45 s|yes'
    'demo|the demonstration, with Envoys and without|wasm toolchain, Envoy|5 min, 10 s|yes'
    'kubernetes|a real API server: our definitions, the fake|Go and etcd of Debian (fetched)|9 min, 50 s|yes'
    'server|from a real API server to the verdict of a real Envoy|all of the above|6 min, 30 s|yes'
    'fuzz|each fuzz target for 15 s|wasm toolchain, a C++ compiler|8 min, 2 min|yes'
    'docs|rustdoc, links|python3|3 min, 2 s|yes'
    'licences|licences, origins and bans of what is linked|cargo-deny|4 min, 2 s|yes'
    'advisories|known vulnerabilities in what is linked|cargo-deny, its database online|4 min, 10 s|no'
)

# The targets of the test bed with `test = false`, by what they need: WASM_TARGETS the
# wasm toolchain and the path of firewall.wasm in MESHWALL_FIREWALL_WASM; ENVOY_TARGETS
# these and the path of an Envoy in MESHWALL_ENVOY; OWN_SUITES the same, but each is the
# suite of its name.
readonly WASM_TARGETS=(sdk_examples module_agrees shop delivery)
readonly OWN_SUITES=(demo envoy_discovery envoy_http envoy_network hostile same_verdict)
readonly ENVOY_TARGETS=(envoy_config envoy_rig host_conformance envoy_render envoy_delivery)

# Those that need the folder of a Kubernetes API server in MESHWALL_KUBERNETES.
readonly KUBERNETES_TARGETS=(kubernetes)

# The targets of the policy server with `test = false`: they need everything.
readonly SERVER_TARGETS=(kubernetes_sources enforced)

suite_format() {
    setup 'rustfmt' need_subcommand fmt rustfmt
    # Each lock file is a workspace of its own: what is apart is formatted, too.
    local locks lock
    mapfile -t locks < <(git ls-files -- Cargo.lock '*/Cargo.lock')
    for lock in "${locks[@]}"; do
        step "cargo fmt (${lock%Cargo.lock}.)" \
            cargo fmt --all --check --manifest-path "${lock%lock}toml"
    done
}

suite_layers() {
    step 'check-layers tests itself' scripts/check-layers --self-test
    step 'check-layers' scripts/check-layers
}

suite_lint() {
    setup 'shellcheck' apt_need 'to check the scripts' shellcheck
    step 'scripts' check_scripts
    step 'lock files' check_locks
    setup 'clippy' need_subcommand clippy clippy
    step 'clippy for the host' clippy_host
    step 'clippy for wasm32' clippy_wasm
}

suite_unit() {
    step 'every test target has a suite' check_targets
    cargo_tests 'cargo test' --workspace
}

suite_wasm() {
    step 'build firewall.wasm' scripts/build-wasm
    export MESHWALL_FIREWALL_WASM=$ROOT/target/wasm/firewall.wasm
    local target
    for target in "${WASM_TARGETS[@]}"; do
        cargo_tests "$target" -p meshwall-testbed --test "$target"
    done
}

suite_envoy() {
    envoy_and_filter
    local target
    for target in "${ENVOY_TARGETS[@]}"; do
        cargo_tests "$target" -p meshwall-testbed --test "$target"
    done
}

suite_envoy_http() {
    envoy_and_filter
    cargo_tests 'requests' -p meshwall-testbed --test envoy_http
}

suite_envoy_network() {
    envoy_and_filter
    cargo_tests 'connections' -p meshwall-testbed --test envoy_network
}

suite_envoy_discovery() {
    envoy_and_filter
    cargo_tests 'policies that change' -p meshwall-testbed --test envoy_discovery
}

# A hundred thousand hostile requests; MESHWALL_HOSTILE_REQUESTS=1000000 sends a million, in two
# minutes.
suite_hostile() {
    envoy_and_filter
    cargo_tests 'hostile traffic' -p meshwall-testbed --test hostile
}

# It tells what it has asked, and what it could not.
suite_same_verdict() {
    envoy_and_filter
    cargo_tests 'all engines' -p meshwall-testbed --test same_verdict -- --nocapture
}

suite_demo() {
    envoy_and_filter
    cargo_tests 'the shop' -p meshwall-testbed --test demo
}

suite_kubernetes() {
    api_server
    local target
    for target in "${KUBERNETES_TARGETS[@]}"; do
        cargo_tests "$target" -p meshwall-testbed --test "$target"
    done
}

suite_server() {
    envoy_and_filter
    api_server
    local target
    for target in "${SERVER_TARGETS[@]}"; do
        cargo_tests "$target" -p meshwall-policy-server --test "$target"
    done
}

# Enough to find what is broken for everyone; `scripts/fuzz TARGET SECONDS` looks longer.
suite_fuzz() {
    setup 'build firewall.wasm' scripts/build-wasm
    export MESHWALL_FIREWALL_WASM=$ROOT/target/wasm/firewall.wasm
    local names name
    names=$(scripts/fuzz --list)
    for name in $names; do
        step "$name" scripts/fuzz "$name" 15
    done
}

suite_docs() {
    step 'check-docs tests itself' scripts/check-docs --self-test
    step 'links' scripts/check-docs
    step 'rustdoc' env RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps
}

suite_licences() {
    setup 'cargo-deny' cargo_deny --version
    step 'licences, bans, sources' cargo_deny check licenses bans sources
    note 'advisories need the database of the day, and are a suite of their own:'
    note './scripts/test advisories'
}

suite_advisories() {
    setup 'cargo-deny' cargo_deny --version
    step 'advisories' cargo_deny check advisories
}

# What a target needs that needs an Envoy.
envoy_and_filter() {
    setup 'build firewall.wasm' scripts/build-wasm
    export MESHWALL_FIREWALL_WASM=$ROOT/target/wasm/firewall.wasm
    if [[ -z ${MESHWALL_ENVOY:-} ]]; then
        setup 'fetch Envoy' scripts/get-envoy
        MESHWALL_ENVOY=$(scripts/get-envoy)
        export MESHWALL_ENVOY
    fi
}

# What a target needs that needs an API server.
api_server() {
    if [[ -z ${MESHWALL_KUBERNETES:-} ]]; then
        setup 'build Kubernetes' scripts/get-kubernetes
        MESHWALL_KUBERNETES=$(scripts/get-kubernetes)
        export MESHWALL_KUBERNETES
    fi
}

# The scripts in shell, by their first line.
check_scripts() {
    local files
    mapfile -t files < <(grep -lE '^(#!.*bash|# shellcheck shell=bash)$' .ci/* scripts/*)
    shellcheck -x "${files[@]}"
}

# What a workspace apart uses of ours changes with ours, and its lock file must follow.
check_locks() {
    local locks lock failed=0
    mapfile -t locks < <(git ls-files -- Cargo.lock '*/Cargo.lock')
    for lock in "${locks[@]}"; do
        cargo metadata --locked --format-version 1 --manifest-path "${lock%lock}toml" \
            >/dev/null || failed=1
    done
    return "$failed"
}

clippy_host() {
    cargo clippy --locked --workspace --all-targets -- -D warnings
    # --all-targets passes over those with `test = false`.
    local target others=()
    for target in "${WASM_TARGETS[@]}" "${ENVOY_TARGETS[@]}" "${OWN_SUITES[@]}" \
        "${KUBERNETES_TARGETS[@]}"; do
        others+=(--test "$target")
    done
    ((${#others[@]} == 0)) ||
        cargo clippy --locked -p meshwall-testbed "${others[@]}" -- -D warnings
    others=()
    for target in "${SERVER_TARGETS[@]}"; do
        others+=(--test "$target")
    done
    cargo clippy --locked -p meshwall-policy-server "${others[@]}" -- -D warnings
}

# What runs inside a proxy, linted as it is compiled for one; this is also where `policy`
# proves that it builds for wasm32.
clippy_wasm() {
    find_wasm_toolchain
    [[ $WASM_TOOLCHAIN != debian ]] || apt_need 'to lint for wasm32' rust-web-clippy
    wasm_cargo $'-Dwarnings\n-Cpanic=unwind' clippy --locked \
        --target wasm32-unknown-unknown -Zbuild-std='std,panic_unwind' \
        -p meshwall-policy -p meshwall-filter-host -p meshwall-firewall
}

cargo_deny() {
    "$(cargo_tool cargo-deny 0.20.2 'to check what is linked')" \
        --locked --log-level error "$@"
}

# Compares the test targets that `cargo test` leaves out with those that are named here.
check_targets() {
    # shellcheck disable=SC2016 # the backticks are Python's
    cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
declared = {target["name"] for package in json.load(sys.stdin)["packages"]
            for target in package["targets"] if target["kind"] == ["test"] and not target["test"]}
named = set(sys.argv[1:])
for name in sorted(declared - named):
    print(f"error: no suite runs the test target `{name}`", file=sys.stderr)
for name in sorted(named - declared):
    print(f"error: there is no test target `{name}` with `test = false`", file=sys.stderr)
sys.exit(declared != named)' "${WASM_TARGETS[@]}" "${ENVOY_TARGETS[@]}" "${OWN_SUITES[@]}" \
        "${KUBERNETES_TARGETS[@]}" "${SERVER_TARGETS[@]}"
}
