using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>Facts that other modules learn after the commit.</summary>
internal sealed class OutboxTests
{
    [Test]
    public async Task A_fact_that_nobody_can_handle_is_tried_again_given_up_at_last_and_holds_up_no_other()
    {
        await using var host = await TestHost.StartAsync();
        var now = TimeProvider.System.GetUtcNow();
        var (poison, last) = (Guid.CreateVersion7(now), Guid.CreateVersion7(now));
        await WriteAsync(host, poison, 0, now);
        await WriteAsync(host, last, 79, now);

        // What comes after them goes its way: a tenant gets his account by a fact.
        var tenant = await host.SignUpAsync();
        Assert.That(async () => await host.SqlAsync("SELECT count(*) FROM billing.heads WHERE tenant_id = $1", tenant.TenantId), Is.EqualTo(1L).After(20_000, 20));

        Assert.That(async () => await host.SqlAsync("SELECT attempts >= 2 AND last_error IS NOT NULL AND processed_at IS NULL FROM platform.outbox WHERE id = $1", poison), Is.True.After(10_000, 50));
        Assert.That(async () => await host.SqlAsync("SELECT last_error IS NOT NULL FROM platform.outbox WHERE id = $1 AND attempts = 80", last), Is.True.After(20_000, 20));
        Assert.That(host.Log.Lines, Has.Some.Contains($"{last}").And.Some.Contains("is given up after 80 attempts"));

        // Not even when its time comes.
        await host.SqlAsync("UPDATE platform.outbox SET next_attempt_at = now() WHERE id = ANY ($1)", new[] { poison, last });
        Assert.That(async () => await host.SqlAsync("SELECT attempts >= 3 FROM platform.outbox WHERE id = $1", poison), Is.True.After(20_000, 20));
        Assert.That(await host.SqlAsync("SELECT attempts FROM platform.outbox WHERE id = $1", last), Is.EqualTo(80));
    }

    private static Task<object?> WriteAsync(TestHost host, Guid id, int attempts, DateTimeOffset now) => host.SqlAsync(
        "INSERT INTO platform.outbox (id, name, payload, occurred_at, next_attempt_at, attempts) VALUES ($1, 'nobody.knows', '{}', $2, $2, $3)", id, now, attempts);
}
