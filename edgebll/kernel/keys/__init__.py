"""Who may talk to whom: key pairs in files, the hosts a board allows, and pairing by a short code."""

from edgebll.kernel.keys.key_pair import KeyPair, check_public_key, load_key_pair, make_key_pair, new_key_pair, rotate_key_pair

__all__ = ["KeyPair", "check_public_key", "load_key_pair", "make_key_pair", "new_key_pair", "rotate_key_pair"]
