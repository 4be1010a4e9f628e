//! Where is it kept, and who holds it? The database seam, journal, queue, leases, blobs.
