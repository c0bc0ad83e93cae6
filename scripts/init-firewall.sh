#!/bin/bash -p
# Drop-in for the init-firewall.sh of the Claude Code devcontainer: same name, same call, no argument.
#   "postStartCommand": "sudo /usr/local/bin/init-firewall.sh"
# Closes the container, starts the gateway under an account of its own, makes every program trust its CA, and checks
# from within that it holds. A second call takes up a changed policy or secret without a gap. When a step fails, the
# exit status says so and the container stays closed; where a gateway was serving, it goes on with what it had.
#
# /etc/sallyport/policy.toml     the policy; without it, what the original allowed (below)
# /var/lib/sallyport/host        a folder of the host, mounted: policy.toml (goes before the one above) and secrets/
# /run/sallyport/secrets/NAME    where a policy finds secrets/NAME: { file = "/run/sallyport/secrets/NAME" }
set -euo pipefail

# The caller of sudo is whom we guard against: nothing that it can set decides anything here.
for variable in $(compgen -e); do unset "$variable"; done
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
umask 022
cd /
exec </dev/null

sallyport=/usr/local/bin/sallyport
account=sallyport
nobody=4294967294 # no process ever has this uid
own_policy=/etc/sallyport/policy.toml
state=/var/lib/sallyport
host=$state/host
logs=/var/log/sallyport
run=/run/sallyport

say() { echo "init-firewall: $*"; }
fail() {
  echo "init-firewall: $*" >&2
  exit 1
}

is_secret() { [[ -f $host/secrets/$1 && ! -L $host/secrets/$1 ]]; }

default_policy() {
  cat <<'END'
# What the devcontainer's original init-firewall.sh allowed, by name, method and path instead of by address.
use = ["claude-code", "claude-telemetry", "npm-install", "github-read", "github-fetch", "github-push", "github-write",
       "github-ssh", "vscode"]
END
  ! is_secret anthropic || cat <<'END'

[[secret]]
name        = "anthropic"
host        = "api.anthropic.com"
header      = "x-api-key"
placeholder = "sk-ant-placeholder"
value       = { file = "/run/sallyport/secrets/anthropic" }
END
  ! is_secret github || cat <<'END'

[[secret]]
name        = "github"
host        = ["github.com", "api.github.com", "uploads.github.com"]
placeholder = "ghp_placeholder"
value       = { file = "/run/sallyport/secrets/github" }
END
}

serving() { timeout 10 "$sallyport" health >/dev/null 2>&1; }

gateway_pid() {
  local pid uid
  [[ -f $run/gateway.pid ]] && read -r pid <"$run/gateway.pid" && uid=$(id -u "$account" 2>/dev/null) &&
    grep -qs "^Uid:[[:space:]]${uid}[[:space:]]" "/proc/$pid/status" && echo "$pid"
}

stop_gateway() {
  local pid tries=0
  pid=$(gateway_pid) || return 0
  kill "$pid" 2>/dev/null || return 0
  while grep -qs "^State:[[:space:]][^Z]" "/proc/$pid/status"; do # nobody may have reaped it
    ((++tries < 50)) || kill -KILL "$pid" 2>/dev/null || true
    ((tries < 100)) || return 0
    sleep 0.1
  done
}

# A gateway that was serving goes on; otherwise nothing may.
finish() {
  local status=$?
  ((status != 0)) || return 0
  set +e
  if [[ $keep == yes ]]; then
    echo "init-firewall: failed; what was in force before stays in force" >&2
  else
    stop_gateway
    if "$sallyport" guard --user "$nobody" >/dev/null; then
      echo "init-firewall: failed; the container is closed" >&2
    else
      echo "init-firewall: failed, and THE CONTAINER IS NOT GUARDED" >&2
    fi
  fi
}

prepare_account() {
  id -u "$account" >/dev/null 2>&1 ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$account"
  install -d "$run"
  install -d -m 0700 -o "$account" -g "$account" "$run/admin"
  ln -sfn admin/admin.sock "$run/admin.sock" # where it is looked for; the rest of the folder stays root's
  # Secrets from the host often belong to the uid that is ours here: nobody else gets past this folder.
  install -d -m 0710 -g "$account" "$state"
  install -d -m 0750 -g "$account" "$run/secrets"
  install -d -m 0700 "$logs" "$state/ca" # opened before the gateway becomes that account
}

# The gateway reads copies: of the originals it may have neither the rights nor, after a reload, the old ones.
copy_secrets() {
  local file
  for file in "$host"/secrets/*; do
    is_secret "${file##*/}" || continue
    install -m 0640 -g "$account" "$file" "$run/secrets.new"
    mv -f "$run/secrets.new" "$run/secrets/${file##*/}"
  done
}

forget_old_secrets() {
  local file
  for file in "$run"/secrets/*; do
    is_secret "${file##*/}" || rm -f "$file"
  done
}

copy_policy() {
  local source=$own_policy
  [[ ! -f $host/policy.toml ]] || source=$host/policy.toml
  if [[ -f $source ]]; then
    [[ $source == "$host"/* || $(stat -c %u "$source") == 0 ]] ||
      fail "$source belongs to another user than root, who could change what it allows"
    "$sallyport" check "$source" >/dev/null || fail "$source has mistakes"
    install -m 0644 "$source" "$run/policy.new"
  else
    default_policy >"$run/policy.new"
  fi
  mv -f "$run/policy.new" "$run/policy.toml"
}

start_gateway() {
  local pid tries=0
  stop_gateway # one that hangs
  setsid "$sallyport" gateway --guard --exempt user --user "$account" --policy "$run/policy.toml" --state "$state/ca" \
    --trust "$run/trust" --audit "$logs/audit.jsonl" --admin "$run/admin/admin.sock" >>"$logs/gateway.log" 2>&1 9>&- &
  pid=$!
  echo "$pid" >"$run/gateway.pid"
  until serving; do
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 5 "$logs/gateway.log" >&2
      fail "the gateway did not start"
    fi
    ((++tries < 300)) || fail "the gateway did not serve within 30 seconds; see $logs/gateway.log"
    sleep 0.1
  done
}

allowed() { [[ $("$sallyport" explain --policy "$run/policy.toml" "$1") != denied* ]]; }

# As the original: what must not answer does not, and what must answer does.
check() {
  local head
  if allowed https://example.com/; then
    say "your policy allows https://example.com, so that its refusal cannot be checked"
  elif curl -sS -m 10 -o /dev/null https://example.com/ 2>/dev/null; then
    keep=no
    fail "https://example.com answers, which nothing allows"
  else
    say "https://example.com cannot be reached, as it should be"
  fi
  allowed https://api.github.com/zen || { say "your policy does not allow https://api.github.com/zen: not tried"; return; }
  head=$(curl -sS -m 30 -o /dev/null -D - https://api.github.com/zen 2>&1) ||
    fail "https://api.github.com does not answer, though the policy allows it: $head"
  case $head in
    *X-Sallyport:\ failed*)
      say "warning: the guard holds, but https://api.github.com cannot be reached: is there a network?" >&2 ;;
    *X-Sallyport:\ refused*) fail "https://api.github.com/zen is refused, though the policy allows it" ;;
    *) say "https://api.github.com answers, as it should" ;;
  esac
}

(($# == 0)) || fail "takes no argument"
((EUID == 0)) || fail "needs root: sudo /usr/local/bin/init-firewall.sh"
exec 9>/run/sallyport.lock
flock -w 120 9 || fail "another call is under way for two minutes already"

keep=no
trap finish EXIT
[[ -x $sallyport ]] || fail "$sallyport is missing in this container"
if serving; then
  keep=yes
else
  "$sallyport" guard --user "$nobody" # before anything that could fail
fi
for program in curl setsid flock useradd; do
  command -v "$program" >/dev/null || fail "$program is missing in this container"
done
prepare_account
copy_secrets
copy_policy
if [[ $keep == yes ]]; then
  if ! "$sallyport" guard --user "$account" --policy "$run/policy.toml"; then
    keep=no # it has closed everything
    fail "the rules cannot be replaced"
  fi
  "$sallyport" reload >/dev/null
else
  start_gateway
fi
forget_old_secrets
"$sallyport" trust --ca "$run/trust/ca.pem" >/dev/null
check
