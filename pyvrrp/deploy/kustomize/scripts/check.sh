#!/bin/sh
# Does this node serve? Exit status 0 says yes. Put your own in its place: this one only looks whether there is a route.
test -n "$(ip route show default)"
