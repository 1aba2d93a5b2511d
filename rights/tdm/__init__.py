"""What sites and files say to machines about text and data mining, and what we say of ours."""
