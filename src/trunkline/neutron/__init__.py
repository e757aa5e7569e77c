"""The ML2 mechanism driver for Neutron, which keeps the northbound as Neutron's database says."""
