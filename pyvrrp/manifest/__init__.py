"""`pyvrrp manifest`: what runs the daemon elsewhere, printed: Kubernetes objects, and the systemd unit."""
