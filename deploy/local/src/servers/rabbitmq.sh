# shellcheck shell=sh
# Runs as process 1 of a private PID and mount namespace: what it mounts is seen by nobody else and
# goes with it, and when it ends the kernel kills everything that RabbitMQ started, epmd included.
#   $1 root folder of the Debian that has RabbitMQ   $2 this stack's data folder
#   $3.. NAME=VALUE for RabbitMQ's environment
set -eu
root=$1
data=$2
shift 2
mount --bind "$data" "$root/var/lib/rabbitmq"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" /usr/bin/env -i HOME=/var/lib/rabbitmq PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 "$@" /usr/lib/rabbitmq/bin/rabbitmq-server
