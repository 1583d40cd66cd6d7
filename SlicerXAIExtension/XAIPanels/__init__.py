"""What the Slicer modules share beside XAILib: the parts that need Slicer or Qt."""
