#!/bin/sh
# launch.sh GENERATION COMMAND ARG ...     (in the node's directory)
#
# Takes the node's lock, says who it is, and becomes the server. The lock is on descriptor 9, which the server
# inherits and never closes: while it or a child of it lives, no second launcher gets past this point, even when
# the control plane was killed between two of its steps and starts the same generation again.
umask 077
exec 9>>lock || exit 74
if command -v flock >/dev/null 2>&1; then
  # Without a locale to load it is done in half the time.
  LC_ALL=C flock -n 9 || exit 75
else # macOS has no flock(1); a lock taken through perl's copy of the descriptor belongs to ours as well
  perl -e 'open(my $f, ">>&=", 9) or exit 1; exit !flock($f, 6)' || exit 75
fi
# A launcher that was overtaken (a later restart, a stop, a removal) must not bring back an older generation.
generation=$1
shift
read -r wanted <generation || exit 76
[ "$wanted" = "$generation" ] || exit 76
if [ -r "/proc/$$/stat" ]; then
  read -r boot </proc/sys/kernel/random/boot_id
  read -r stat <"/proc/$$/stat"
  # Field 22 of stat; the name in parentheses may hold spaces, so count from behind it. A function has words of its
  # own, which a subshell would have to be forked for.
  twentieth() { started=${20}; }
  set -f
  twentieth ${stat##*) }
else
  boot=$(sysctl -n kern.boottime | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  started=$(ps -o lstart= -p $$)
fi
printf '%s %s %s %s\n' "$$" "$generation" "$boot" "$started" >pid
# Descriptor 3 tells whoever waits for it: closed by the server's start, or by an end before that.
exec "$@" 3>&-
