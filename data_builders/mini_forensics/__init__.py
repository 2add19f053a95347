"""The embedded dataset: small real clips and photographs, forged at build time by classical methods."""
