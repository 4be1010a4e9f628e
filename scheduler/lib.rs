//! When, and within which limits? Claims runs, drives them, and answers questions about them.
