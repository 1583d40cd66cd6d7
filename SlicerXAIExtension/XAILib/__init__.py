"""What the Slicer modules share: speaking to the explain server over HTTP. Needs neither Slicer nor Qt."""
