"""
The files that keepalived writes when a signal asks for them, for the monitors and exporters that read them.

    SIGUSR1       keepalived.data, keepalived_parent.data      configuration and state      `data.py`, `definitions.py`
    SIGUSR2       keepalived.stats                             counters                     `statistics.py`
    SIGRTMIN+2    keepalived.json                              both, for programs           `records.py`
    SIGRTMAX-1    keepalived.stats, then counted from 0 anew

`dumper.py` takes the signals, `picture.py` puts together what is known, `files.py` writes; the others are pure text.

The lines, keys and their order are those of keepalived 2.2.7, which the tests run beside us. What differs, and why:

* Passwords are asterisks, as with keepalived 2.4.0; 2.2.7 writes them in clear.
* A file is put in place whole: whoever reads it early sees the old one, never half of the new one.
* Not known, and given as keepalived gives it where nothing is configured or open: numbers of descriptors (-1), buffer
  sizes, the inner count and the running program of a check script (it is at rest, and as good or bad as its verdict),
  the defaults of `garp_*` and the like in the global definitions (each instance has its own, and they are right
  there), LVS, BFD, SNMP and DBus, `set` of virtual routes and rules.
* Counters of what a classic filter drops in the kernel are estimates, as in `status`.
* What waits for its first check results is FAULT there with BACKUP as what it wants, as with keepalived. What was
  drained, which keepalived does not know, is INIT.
* A virtual router that goes by a VMAC is shown on the interface that it is configured on.
* `json_version 2` has no processes in its list.
"""
