"""What every edited picture says about itself."""
