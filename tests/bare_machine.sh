#!/usr/bin/env bash
# Both commands of the README on a bare machine: a minimal Debian root with what the README names
# and nothing else. Not part of .ci/run: it needs root, debootstrap, some 20 GB and half an hour.
#
#   tests/bare_machine.sh [--no-target] [--user] [--only demo|test|unit] [--twice] [--keep] [FOLDER]
#
# --no-target  rustup cannot get the filter's target: Debian's compiler builds everything
# --user       an ordinary user runs the commands, without sudo
# --only       only this part
# --twice      the tests once more, without a network
# --keep       leave the root where it is; a second run takes it again
#
# Where packages come from is what this machine is configured with, copied when it runs.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
target=yes user=root only= keep= twice= isolated= folder=
while [ $# -gt 0 ]; do
  case $1 in
    --no-target) target= ;;
    --user) user=somebody ;;
    --only) only=$2; shift ;;
    --twice) twice=yes ;;
    --keep) keep=yes ;;
    -*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
    *) folder=$1 ;;
  esac
  shift
done
folder=${folder:-$repository/target/bare-machine}
[ "$(id -u)" = 0 ] || { echo 'only root can make a root' >&2; exit 2; }
command -v debootstrap >/dev/null || { echo 'debootstrap is missing: apt-get install debootstrap' >&2; exit 2; }
root=$folder/root
# A path with spaces is a path.
home=/root; [ "$user" = root ] || home=/home/$user
checkout="$home/a checkout/llm-gateway"

say() { printf '\n#### %s\n' "$*"; }

# A copy of what is there, at the same place.
carry() {
  for path in "$@"; do
    [ -e "$path" ] || continue
    mkdir -p "$root$(dirname "$path")"
    cp -aL "$path" "$root$(dirname "$path")/"
  done
}

make_root() {
  local codename uri
  codename=bookworm
  uri=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' | sed -n "s/^$codename //p" | head -n 1)
  say "debootstrap $codename"
  debootstrap --variant=minbase "$codename" "$root" ${uri:+"$uri"} >"$folder/debootstrap.log" 2>&1 ||
    { tail "$folder/debootstrap.log"; exit 1; }
  rm -f "$root/etc/apt/sources.list"
  carry /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/keyrings /etc/apt/trusted.gpg.d \
    /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/resolv.conf /etc/hosts
  # Of apt's settings those that say how to reach the archives.
  for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
    case $file in *docker*) continue ;; esac
    ! grep -qE 'Acquire|Proxy' "$file" 2>/dev/null || carry "$file"
  done
  say 'apt-get install build-essential python3-pip git curl'
  chroot "$root" sh -c 'export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update && apt-get -qq -y install build-essential python3-pip git curl && apt-get clean' \
    >"$folder/apt.log" 2>&1 || { tail "$folder/apt.log"; exit 1; }
  [ "$user" = root ] || chroot "$root" useradd --create-home --shell /bin/bash "$user"
  rm -f "$root/etc/ssl/certs/ca-certificates.crt"
  carry /etc/ssl/certs/ca-certificates.crt /etc/pip.conf
  # Home is another one there.
  for path in .cargo/config.toml .cargo/credentials.toml .config/pip .pip .npmrc; do
    [ -e "$HOME/$path" ] || continue
    mkdir -p "$root$home/$(dirname "$path")"
    cp -aL "$HOME/$path" "$root$home/$(dirname "$path")/"
  done
  install_rustup
  chroot "$root" chown -R "$user" "$home"
}

# rustup as it is here, with one toolchain.
install_rustup() {
  local cargo=${CARGO_HOME:-$HOME/.cargo} rustup=${RUSTUP_HOME:-$HOME/.rustup} toolchain
  toolchain=$(cd "$repository" && rustup show active-toolchain | cut -d ' ' -f 1)
  say "rustup with $toolchain"
  mkdir -p "$root$home/.cargo/bin" "$root$home/.rustup/toolchains"
  cp -a "$cargo/bin/." "$root$home/.cargo/bin/"
  cp "$rustup/settings.toml" "$root$home/.rustup/"
  cp -aL "$rustup/toolchains/$toolchain" "$root$home/.rustup/toolchains/$toolchain"
  if [ -z "$target" ]; then
    rm -rf "$root$home/.rustup/toolchains/$toolchain/lib/rustlib/wasm32-wasip1"
    sed -i '/wasm32-wasip1/d' "$root$home/.rustup/toolchains/$toolchain/lib/rustlib/components"
    # rustup as it is where its server cannot be reached; as cargo and rustc it works.
    mv "$root$home/.cargo/bin/rustup" "$root$home/.cargo/rustup-as-it-was"
    for proxy in "$root$home"/.cargo/bin/*; do ln -sfn ../rustup-as-it-was "$proxy"; done
    cat >"$root$home/.cargo/bin/rustup" <<'WRAPPER'
#!/bin/sh
case "$*" in
  *"target add"*) echo 'error: could not download: this machine cannot reach the server' >&2; exit 1 ;;
esac
# As which program it is called is what it is.
exec bash -c 'exec -a rustup "$0" "$@"' "$(dirname "$0")/../rustup-as-it-was" "$@"
WRAPPER
    chmod +x "$root$home/.cargo/bin/rustup"
  fi
}

# What the environment says of mirrors, proxies and certificates.
environment() {
  env | grep -E '^(https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|all_proxy|ALL_PROXY|PIP_|NPM_CONFIG_|npm_config_|CARGO_(HTTP|NET|REGISTR|SOURCE)|RUSTUP_(DIST|UPDATE|AUTO)|SSL_CERT|CURL_CA|REQUESTS_CA|NODE_EXTRA_CA|GIT_SSL)' || true
}

# Runs a script in the root: with its own processes, so that what is left can be seen, and a user
# who has nothing but a home.
inside() {
  local script=$1
  { environment | sed "s/'/'\\\\''/g; s/=/='/; s/\$/'/; s/^/export /"
    printf 'export HOME=%s USER=%s PATH=%s/.cargo/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8\n' "$home" "$user" "$home"
    printf 'checkout="%s"\n%s\n' "$checkout" "$script"
  } >"$root/tmp/inside.sh"
  unshare --mount --pid --fork --kill-child $isolated bash -c '
    root=$1 user=$2 isolated=$3
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    [ -z "$isolated" ] || chroot "$root" python3 -c "
import fcntl, socket, struct
up = struct.pack(\"16sH14x\", b\"lo\", 1)
fcntl.ioctl(socket.socket(), 0x8914, up)"
    exec chroot --userspec="$user" "$root" bash /tmp/inside.sh' bash "$root" "$user" "$isolated"
}

# What a command took and what it left.
watched() {
  cat <<SCRIPT
cd "\$checkout"
began=\$(date +%s)
$1
code=\$?
echo "#### $1: exit \$code after \$((\$(date +%s) - began)) s"
sleep 2
for stat in /proc/[0-9]*/stat; do
  read -r pid name state rest <"\$stat" 2>/dev/null || continue
  case "\$pid \$state" in 1\ *|*\ Z) ;; *) [ "\$pid" = \$\$ ] || echo "#### left over: \$pid \$name \$state" ;; esac
done
exit \$code
SCRIPT
}

demo='
cargo xtask demo --exit-when-ready 2>&1 | tee /tmp/demo.log || exit 1
echo "#### ready after $(($(date +%s) - began)) s"
# The first of the commands that it prints.
eval "$(grep -m 1 -o "curl -s .*" /tmp/demo.log)" | grep chat.completion || exit 1
echo
echo "#### answered after $(($(date +%s) - began)) s"
kill $(sed -n "s/^pids: //p" /tmp/demo.log)
sleep 1
true'

sizes() {
  say 'megabytes'
  (cd "$root$checkout" && du -sm target target/tools target/tools/* 2>/dev/null | grep -v lock) || true
  du -sm "$root$home/.cargo/registry" || true
}

mkdir -p "$folder"
if [ ! -e "$folder/made" ]; then
  began=$(date +%s)
  rm -rf --one-file-system "$root"
  make_root
  touch "$folder/made"
  say "a root of $(du -sm "$root" | cut -f 1) MB after $(($(date +%s) - began)) s"
fi
[ -d "$root$checkout" ] || {
  mkdir -p "$root$(dirname "$checkout")"
  git clone --quiet --no-hardlinks "$repository" "$root$checkout"
  chroot "$root" chown -R "$user" "$home"
}
say "programs that are not there: $(chroot "$root" sh -c 'for p in kill ps pkill which node npm ip ss lsof sudo; do
  command -v $p | grep -q / || printf "%s " $p; done')"

failed=
part() {
  say "$1"
  inside "$(watched "$2")" || failed="$failed $1"
}
[ -n "$only" ] && [ "$only" != demo ] || part demo "$demo"
[ -n "$only" ] && [ "$only" != test ] || part test 'cargo xtask test'
[ "$only" != unit ] || part unit 'cargo xtask test --unit'
if [ -z "$only" ]; then
  sizes
fi
if [ -z "$only" ] || [ -n "$twice" ]; then
  # A second time nothing is fetched: there is no network but the machine itself.
  isolated=--net
  part 'demo without a network' "$demo"
  [ -z "$twice" ] || part 'test without a network' 'cargo xtask test'
fi
[ -n "$keep" ] || rm -rf --one-file-system "$root" "$folder/made"
if [ -n "$failed" ]; then say "failed:$failed"; exit 1; fi
say 'both commands work on a bare machine'
