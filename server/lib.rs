//! How do they reach us? Transports, the protocol, the command line.
