"""eBPF from the instruction to the loaded program: what `offload.py` puts on a socket."""
