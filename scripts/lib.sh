# shellcheck shell=bash
# shellcheck disable=SC2034,SC2119,SC2120 # used by the scripts that source this file
# What every script here needs: one place for the cache, one way to report a stage,
# one way to ask the system for a package. Sourced, never run.
#
# Rules: everything that is downloaded or built for reuse lives under $CACHE, in a
# folder named after its version; nothing is installed without a line that says what
# and why; progress goes to stderr, so that stdout stays free for a script's result.

set -euo pipefail
export LC_ALL=C

# The repository, whatever the caller's working directory is.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Downloads and tools, shared by all checkouts of one user.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/meshwall
# Where cargo puts what it builds, as an absolute path.
TARGET_DIR=$(cd "$ROOT" && realpath -m "${CARGO_TARGET_DIR:-target}")
readonly ROOT CACHE TARGET_DIR

if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
    BOLD='' RED='' GREEN='' PLAIN=''
fi
readonly BOLD RED GREEN PLAIN

note() { printf '    %s\n' "$*" >&2; }
die() {
    printf '%serror%s: %s\n' "$RED" "$PLAIN" "$*" >&2
    exit 1
}

# stage TITLE COMMAND...: runs the command between a line that announces it and one that
# says how long it took; its status is the command's.
#
# The command runs in a subshell that ends at the first failing line. Bash switches that
# off wherever a status is looked at, so call this neither in `if` nor before `||`, but as
# a plain line, or between `set +e` and `set -e`.
stage() {
    local title=$1 start=$SECONDS options=$- status
    shift
    printf '%s==> %s%s\n' "$BOLD" "$title" "$PLAIN" >&2
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    if ((status == 0)); then
        printf '%s==> %s: ok (%d s)%s\n' "$GREEN" "$title" $((SECONDS - start)) "$PLAIN" >&2
    else
        printf '%s==> %s: failed (%d s)%s\n' "$RED" "$title" $((SECONDS - start)) "$PLAIN" >&2
    fi
    [[ $options != *e* ]] || set -e
    return "$status"
}

have() { command -v "$1" >/dev/null 2>&1; }

# version_at_least HAVE WANTED: compares dotted versions.
version_at_least() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

# as_root COMMAND...: runs it with the rights of root, asking for a password only where
# somebody is there to type it.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif ! have sudo; then
        die "this needs root, and there is no sudo; run as root: $*"
    elif [[ -t 0 ]]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt_has() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# apt_update: fetches the lists of what can be had, unless that was done within the hour. Old
# lists would do for most packages, but offer an old compiler where a newer one is out.
apt_update() {
    local marker=$CACHE/apt-updated
    [[ -z $(find "$marker" -mmin -60 2>/dev/null) ]] || return 0
    note "updating the package lists"
    as_root apt-get -o DPkg::Lock::Timeout=600 -qq update >&2 || return
    mkdir -p "$CACHE"
    touch "$marker"
}

# apt_install WHY PACKAGE...: installs the packages, or newer versions of them.
apt_install() {
    note "installing ${*:2} ($1)"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 -qq \
        install -y --no-install-recommends "${@:2}" >/dev/null
}

# apt_need WHY PACKAGE...: installs those of the packages that are not installed yet.
apt_need() {
    local why=$1 package missing=()
    shift
    for package in "$@"; do
        apt_has "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    have apt-get || die "please install ${missing[*]} ($why); this system has no apt-get"
    { apt_update && apt_install "$why" "${missing[@]}"; } ||
        die "apt-get could not install ${missing[*]} ($why)"
}

# The oldest Rust that the workspace accepts: `rust-version` in Cargo.toml.
rust_wanted() {
    sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n 1
}

# rust_is_recent [RUSTC]: whether that compiler is there and recent enough.
rust_is_recent() {
    local version
    version=$("${1:-rustc}" --version 2>/dev/null | cut -d ' ' -f 2) || return 1
    version_at_least "${version%%-*}" "$(rust_wanted)"
}

# need_rust: a recent cargo for the host, and a C compiler to link with.
need_rust() {
    local wanted
    wanted=$(rust_wanted)
    have cargo || die "Rust is missing: install $wanted or newer from https://rustup.rs"
    rust_is_recent || die "Rust $wanted or newer is needed, found: $(
        rustc --version 2>&1 | head -n 1
    ); try: rustup update stable"
    have cc || apt_need "to link Rust programs" gcc libc6-dev
}

# need_subcommand NAME COMPONENT: `cargo NAME`, which rustup leaves out of small
# installations.
need_subcommand() {
    ! cargo "$1" --version >/dev/null 2>&1 || return 0
    have rustup || die "\`cargo $1\` is missing; install the component $2"
    note "installing $2 with rustup (for \`cargo $1\`)"
    rustup --quiet component add "$2" >&2 || die "rustup could not install $2"
}

# cargo_tool NAME VERSION WHY: prints the path of a program from crates.io, which is built
# once for each version and kept in the cache.
cargo_tool() {
    local name=$1 version=$2 why=$3
    local home=$CACHE/tools/$name-$version
    if [[ ! -x $home/bin/$name ]]; then
        need_rust
        note "building $name $version ($why); this takes some minutes, once"
        # Its own target folder: nothing of it belongs among the project's files.
        CARGO_TARGET_DIR=$home/build cargo install --quiet --locked --root "$home" \
            "$name@$version" >&2 || die "$name $version could not be built"
        rm -rf "$home/build"
    fi
    printf '%s\n' "$home/bin/$name"
}
