//! What may a caller ask for? One published tool a file.
