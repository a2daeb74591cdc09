using VoicePlatform.Host;

try
{
    return await StartUp.RunAsync(args);
}
catch (Exception e) when (StartUp.Explain(e) is { } sentence)
{
    // One sentence that says what to do; a stack trace helps nobody with a setting.
    await Console.Error.WriteLineAsync($"VoicePlatform cannot start. {sentence}");
    return 1;
}
