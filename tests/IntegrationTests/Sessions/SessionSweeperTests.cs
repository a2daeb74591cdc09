using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.Sessions;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>The sweeper over a real database, with a clock that the test winds.</summary>
internal sealed class SessionSweeperTests
{
    private readonly Clock _clock = new(TimeProvider.System.GetUtcNow().AddHours(1));
    private TestHost _host = null!;
    private TestTenant _tenant = null!;
    private SessionSweeper _sweeper = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.StartAsync();
        _tenant = await _host.SignUpAsync();
        _sweeper = new(_host.Services.GetRequiredService<NpgsqlDataSource>(), _host.Services.GetRequiredService<IServiceScopeFactory>(), _clock, NullLogger<SessionSweeper>.Instance);
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        await _sweeper.StopAsync(CancellationToken.None);
        _sweeper.Dispose();
        await _host.DisposeAsync();
    }

    [Test]
    public async Task After_a_time_in_which_nobody_could_look_agents_have_time_to_report()
    {
        var (silent, alive) = (await TalkingAsync(), await TalkingAsync());
        await _sweeper.StartAsync(CancellationToken.None);
        await _clock.PassedAsync();

        await NextPassAsync(60);        // The database was away for a minute, and both agents with it.
        Assert.That((await ReasonAsync(silent), await ReasonAsync(alive)), Is.EqualTo(("", "")));
        for (var i = 0; i < 3; i++)
        {
            await NextPassAsync(5);
        }

        await SeenAsync(alive);
        Assert.That(await ReasonAsync(silent), Is.Empty, "It has twenty seconds.");
        await NextPassAsync(5);
        Assert.That((await ReasonAsync(silent), await ReasonAsync(alive)), Is.EqualTo(("agent_lost", "")));
    }

    [Test]
    public async Task While_it_looks_four_missed_reports_are_enough()
    {
        var silent = await TalkingAsync();
        await _sweeper.StartAsync(CancellationToken.None);
        await _clock.PassedAsync();
        for (var i = 0; i < 4; i++)
        {
            await NextPassAsync(5);
        }

        Assert.That(await ReasonAsync(silent), Is.Empty);
        await NextPassAsync(5);
        Assert.That(await ReasonAsync(silent), Is.EqualTo("agent_lost"));
    }

    /// <summary>A spoken conversation whose agent has just reported. Seen an hour ahead of the clock that the host goes by: its own sweeper is not to find it.</summary>
    private async Task<string> TalkingAsync()
    {
        var id = await _tenant.StartTextSessionAsync(await _tenant.CreateAssistantAsync());
        await _host.SqlAsync("UPDATE session.sessions SET text_only = false, status = 'active', started_at = now() WHERE id = $1", id);
        await SeenAsync(id);
        return id;
    }

    private Task<object?> SeenAsync(string id) => _host.SqlAsync("UPDATE session.sessions SET last_seen_at = $2 WHERE id = $1", id, _clock.GetUtcNow());

    private async Task<string> ReasonAsync(string id) => (string)(await _host.SqlAsync("SELECT coalesce(ended_reason, '') FROM session.sessions WHERE id = $1", id))!;

    private async Task NextPassAsync(int seconds)
    {
        _clock.Wind(TimeSpan.FromSeconds(seconds));
        await _clock.PassedAsync();
    }

    /// <summary>Stands still until it is wound. Who waits by it has done a pass.</summary>
    private sealed class Clock(DateTimeOffset start) : TimeProvider
    {
        private readonly SemaphoreSlim _waiters = new(0);
        private DateTimeOffset _now = start;
        private Waiter? _waiter;

        public override DateTimeOffset GetUtcNow() => _now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _waiter = new(() => callback(state));
            _waiters.Release();
            return _waiter;
        }

        public async Task PassedAsync() => Assert.That(await _waiters.WaitAsync(TimeSpan.FromSeconds(30)), Is.True, "No pass came to its end.");

        public void Wind(TimeSpan by)
        {
            _now += by;
            _waiter!.Ring();
        }

        private sealed class Waiter(Action ring) : ITimer
        {
            public void Ring() => ring();

            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
