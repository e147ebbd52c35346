# shellcheck shell=bash
# Finds, or installs, a Rust that can build filters for wasm32-unknown-unknown. Sourced
# after lib.sh by the scripts that need one.
#
# A filter catches its own panics, so its standard library has to be one that unwinds.
# No distribution ships that for wasm32, so it is rebuilt from source (-Zbuild-std, which
# a stable compiler takes with RUSTC_BOOTSTRAP=1). What that needs is the source of std
# and a wasm linker. Two places have both:
#
#   rustup  the component rust-src beside the active toolchain, which carries rust-lld
#   debian  the packages rustc-web, cargo-web, rust-web-src and the newest lld-N, for
#           machines where rustup cannot download
#
# The first that works is taken. MESHWALL_WASM_TOOLCHAIN=rustup|debian insists on one.

# Found by find_wasm_toolchain: the name of the place, the cargo to call, and the
# variables to set for it.
WASM_TOOLCHAIN=''
WASM_CARGO=''
WASM_ENV=()

find_wasm_toolchain() {
    [[ -z $WASM_TOOLCHAIN ]] || return 0
    local choice=${MESHWALL_WASM_TOOLCHAIN:-any}
    case $choice in
    any) wasm_from_rustup || wasm_from_debian ;;
    rustup) wasm_from_rustup ;;
    debian) wasm_from_debian ;;
    *) die "MESHWALL_WASM_TOOLCHAIN is \`$choice\`; it can be rustup or debian" ;;
    esac || die "no toolchain can build for wasm32: neither rustup nor apt-get could supply \
the source of std and a wasm linker"
}

wasm_from_rustup() {
    have rustup && have cargo && rust_is_recent || return 1
    local sysroot host
    sysroot=$(rustc --print sysroot)
    host=$(rustc -vV | sed -n 's/^host: //p')
    [[ -x $sysroot/lib/rustlib/$host/bin/rust-lld ]] || return 1
    if [[ ! -f $sysroot/lib/rustlib/src/rust/library/Cargo.lock ]]; then
        note "installing rust-src with rustup (to build std for wasm32)"
        timeout 300 rustup --quiet component add rust-src >&2 || {
            note "rustup cannot supply rust-src here; looking for Debian's"
            return 1
        }
    fi
    WASM_TOOLCHAIN=rustup
    WASM_CARGO=cargo
    WASM_ENV=(RUSTC_BOOTSTRAP=1)
}

wasm_from_debian() {
    have apt-get || return 1
    local why="to build std for wasm32" packages=(rustc-web cargo-web rust-web-src)
    if ! newest_wasm_linker >/dev/null; then
        apt_update && [[ -n $(newest_lld) ]] || return 1
        apt_need "$why" "$(newest_lld)"
    fi
    apt_need "$why" "${packages[@]}"
    # Installed some time ago, perhaps.
    rust_is_recent /usr/bin/rustc || { apt_update && apt_install "$why" "${packages[@]}"; }
    rust_is_recent /usr/bin/rustc || {
        note "Debian's $(/usr/bin/rustc --version) is older than $(rust_wanted)"
        return 1
    }
    [[ -f $(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock ]] || return 1
    WASM_TOOLCHAIN=debian
    WASM_CARGO=/usr/bin/cargo
    WASM_ENV=(
        RUSTC_BOOTSTRAP=1
        # Ahead of rustup's: cargo looks up its subcommands there.
        "PATH=/usr/bin:$PATH"
        RUSTC=/usr/bin/rustc
        RUSTDOC=/usr/bin/rustdoc
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(newest_wasm_linker)"
    )
}

# The newest package lld-N that can be had.
newest_lld() {
    apt-cache search --names-only '^lld-[0-9]+$' | cut -d ' ' -f 1 | sort -V | tail -n 1
}

# The newest wasm-ld that is installed; fails where there is none, or none that reads what
# today's compilers write.
newest_wasm_linker() {
    local linker
    linker=$(find /usr/bin -maxdepth 1 -name 'wasm-ld-*' | sort -V | tail -n 1)
    [[ -n $linker ]] && version_at_least "${linker##*-}" 19 && printf '%s\n' "$linker"
}

# wasm_cargo RUSTFLAGS ARGUMENTS...: calls the toolchain's cargo. The flags are for wasm32
# only (cargo keeps them from build scripts), one a line; intermediate files have a folder
# of their own, so that two compilers do not rebuild each other's work.
wasm_cargo() {
    local flags=$1
    shift
    find_wasm_toolchain
    env -u RUSTFLAGS "${WASM_ENV[@]}" \
        CARGO_ENCODED_RUSTFLAGS="${flags//$'\n'/$'\x1f'}" \
        CARGO_TARGET_DIR="$TARGET_DIR/wasm-build/$WASM_TOOLCHAIN" \
        "$WASM_CARGO" "$@"
}
