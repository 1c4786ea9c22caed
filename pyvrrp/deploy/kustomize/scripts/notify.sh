#!/bin/sh
# Told of every transition: INSTANCE, its name, MASTER, BACKUP, FAULT or STOP, its priority. Goes to the pod's log.
echo "$2 is $3, priority $4" >/proc/1/fd/2
