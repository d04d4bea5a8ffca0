// The agent, under a name that is its own beside every other program of the image.
import '#programs/agent/main.ts';
