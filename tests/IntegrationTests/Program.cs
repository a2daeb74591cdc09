using VoicePlatform.IntegrationTests.Billing.Proof;

namespace VoicePlatform.IntegrationTests;

/// <summary>The processes that tests start in order to kill them.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] args)
    {
        switch (args)
        {
            case [PlayerProcess.Verb]:
                await PlayerProcess.ServeAsync();
                return 0;
            default:
                await Console.Error.WriteLineAsync("The tests are run by dotnet test.");
                return 2;
        }
    }
}
