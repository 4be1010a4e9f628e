//! What can happen, and what does it add up to? Records and their folds.
