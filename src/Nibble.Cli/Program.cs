using Nibble.Cli.Shell;

return CommandLine.Run(args);
