"""What calls became, as people read it: `/top`, `/performance`, and the lines that stand on other pages."""
