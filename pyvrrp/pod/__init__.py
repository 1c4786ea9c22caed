"""
The OpenShift ipfailover pod: this program in the place of the old image's wrapper and its keepalived.

`entry.py` is the way in, `source.py` turns the environment into what the daemon runs, `node.py` looks at the node,
`options.py` reads what else the old wrapper read, `removal.py` is the second entry point. What the variables mean is in
`config/openshift/`, which does no I/O.
"""
