namespace VoicePlatform.IntegrationTests;

/// <summary>
/// Budgets are by the day and statements by the month, in UTC, and tests of them begin and end within one: a run that begins shortly before midnight begins after it.
/// </summary>
[SetUpFixture]
internal sealed class Midnight
{
    private static readonly TimeSpan Shortly = TimeSpan.FromMinutes(5);

    [OneTimeSetUp]
    public async Task WaitItOutAsync()
    {
        var left = TimeSpan.FromDays(1) - TimeProvider.System.GetUtcNow().TimeOfDay;
        if (left < Shortly)
        {
            await TestContext.Progress.WriteLineAsync($"It is midnight in {left.TotalSeconds:0} s: the tests wait for it.");
            await Task.Delay(left + TimeSpan.FromSeconds(1), TimeProvider.System);
        }
    }
}
