"""The probe: what the physical networks between chassis really carry, which no flow can say."""
