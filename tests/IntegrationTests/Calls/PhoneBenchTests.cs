namespace VoicePlatform.IntegrationTests.Calls;

/// <summary>One test after the other on one bench; each with a tenant of its own.</summary>
[FixtureLifeCycle(LifeCycle.SingleInstance)]
[Parallelizable(ParallelScope.Self)]
internal abstract class PhoneBenchTests
{
    protected PhoneBench Bench { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => Bench = await PhoneBench.StartAsync();

    [OneTimeTearDown]
    public async Task EndAsync() => await Bench.DisposeAsync();

    [SetUp]
    public Task RenewAsync() => Bench.RenewAsync();
}
