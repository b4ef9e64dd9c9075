"""Microcontrollers on serial lines: the protocol, the ports, and the firmware that answers."""
