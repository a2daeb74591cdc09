using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests;

/// <summary>Ends the host that tests share (<see cref="TestHost.SharedAsync"/>).</summary>
[SetUpFixture]
internal sealed class SharedHost
{
    [OneTimeTearDown]
    public Task EndAsync() => TestHost.EndSharedAsync();
}
