using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>Webhooks as resources: their fields, secrets and replays.</summary>
internal sealed class WebhookResourceTests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync();
        _tenant = await _host.SignUpAsync();
    }

    [Test]
    public async Task A_webhook_is_read_changed_and_removed_by_whoever_saw_its_last_version()
    {
        var made = await _tenant.PostAsync("/v1/webhooks", new { url = "http://127.0.0.1:9/a", description = "first", event_types = new[] { "call.*" } });
        var path = $"/v1/webhooks/{made.Get<string>("id")}";
        var read = await _tenant.GetAsync(path);
        Assert.That(read.Body!.AsObject().ContainsKey("secret"), Is.False);
        Assert.That(read.Headers["ETag"], Is.EqualTo(made.Headers["ETag"]));

        var changed = await _tenant.PatchAsync(path, new { url = "http://127.0.0.1:9/b", enabled = false }, ("If-Match", read.Headers["ETag"]));
        Assert.That((changed.Get<string>("url"), changed.Get<string>("description"), changed.Get<string>("disabled_reason")), Is.EqualTo(("http://127.0.0.1:9/b", "first", "user")));
        Assert.That((await _tenant.PatchAsync(path, new { description = "late" }, ("If-Match", read.Headers["ETag"]))).Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));
        Assert.That((await _host.SendAsync(HttpMethod.Delete, path, _tenant.Key, null, ("If-Match", read.Headers["ETag"]))).Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));
        Assert.That((await _tenant.PostAsync($"{path}/test")).Code, Is.EqualTo("webhook.disabled"));

        Assert.That((await _tenant.DeleteAsync(path)).Status, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That((await _tenant.GetAsync(path)).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [TestCase("""{"url": "ftp://example.com/x"}""", "url")]
    [TestCase("""{"url": "http://user:pass@example.com/x"}""", "url")]
    [TestCase("""{"url": "http://192.168.1.1/x"}""", "url")]
    [TestCase("""{"url": "http://127.0.0.1:9/x", "event_types": ["call.ringing_bells"]}""", "event_types[0]")]
    [TestCase("""{"url": "http://127.0.0.1:9/x", "event_types": ["nothing.*"]}""", "event_types[0]")]
    public async Task A_bad_webhook_names_the_field(string body, string field)
    {
        var answer = await _tenant.PostAsync("/v1/webhooks", body);
        Assert.That((answer.Status, answer.Fields.First()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, field)), answer.Body?.ToJsonString());
    }

    [Test]
    public async Task Another_tenants_webhooks_deliveries_and_events_are_not_there()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = (await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url })).Get<string>("id");
        await _tenant.AnnounceAsync("call-a");
        var delivery = (await _tenant.SettledAsync(webhook, 1))[0];
        var (id, eventId) = (delivery["id"]!.GetValue<string>(), delivery["event_id"]!.GetValue<string>());
        var other = await _host.SignUpAsync("Other");
        Answer[] answers =
        [
            await other.GetAsync($"/v1/webhooks/{webhook}"), await other.PatchAsync($"/v1/webhooks/{webhook}", new { enabled = false }), await other.DeleteAsync($"/v1/webhooks/{webhook}"),
            await other.PostAsync($"/v1/webhooks/{webhook}/rotate-secret"), await other.PostAsync($"/v1/webhooks/{webhook}/test"), await other.GetAsync($"/v1/webhooks/{webhook}/deliveries"),
            await other.PostAsync($"/v1/webhooks/{webhook}/replay", new { from = "2026-01-01T00:00:00Z" }), await other.GetAsync($"/v1/deliveries/{id}"),
            await other.PostAsync($"/v1/deliveries/{id}/replay"), await other.GetAsync($"/v1/events/{eventId}"),
        ];
        Assert.That(answers.Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await _tenant.GetAsync($"/v1/deliveries/{id}")).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await _tenant.GetAsync($"/v1/events/{eventId}")).Body!["deliveries"]![0]!["id"]!.GetValue<string>(), Is.EqualTo(id));
    }

    [Test]
    public async Task While_a_rotation_overlaps_both_secrets_sign()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var made = await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url });
        var path = $"/v1/webhooks/{made.Get<string>("id")}";
        var rotated = await _tenant.PostAsync($"{path}/rotate-secret", new { overlap_hours = 1 });
        Assert.That(rotated.Status, Is.EqualTo(HttpStatusCode.OK), rotated.Body?.ToJsonString());
        var (old, fresh) = (made.Get<string>("secret"), rotated.Get<string>("secret"));
        Assert.That(fresh, Is.Not.EqualTo(old));

        await _tenant.PostAsync($"{path}/test");
        var both = await receiver.NextAsync();
        Assert.That((both.IsSignedWith(old), both.IsSignedWith(fresh)), Is.EqualTo((true, true)));
        Assert.That(both.Json["type"]!.GetValue<string>(), Is.EqualTo("webhook.test"));

        await _host.SqlAsync("UPDATE tenant.webhooks SET previous_until = now() - interval '1 second' WHERE tenant_id = $1", _tenant.TenantId);
        await _tenant.PostAsync($"{path}/test");
        var later = await receiver.NextAsync();
        Assert.That((later.IsSignedWith(old), later.IsSignedWith(fresh)), Is.EqualTo((false, true)));

        // A lost secret is gone at once: no overlap asked for, none given.
        var last = await _tenant.PostAsync($"{path}/rotate-secret", new { overlap_hours = 0 });
        await _tenant.PostAsync($"{path}/test");
        var now = await receiver.NextAsync();
        Assert.That((now.IsSignedWith(fresh), now.IsSignedWith(last.Get<string>("secret"))), Is.EqualTo((false, true)));
        Assert.That((await _tenant.PostAsync($"{path}/rotate-secret", new { overlap_hours = 169 })).Fields, Is.EqualTo(new[] { "overlap_hours" }));
    }

    [Test]
    public async Task With_ed25519_the_public_key_is_all_that_is_shown_and_node_verifies_by_it()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var made = await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, signing = "ed25519" });
        Assert.That(made.Body!.AsObject().ContainsKey("secret"), Is.False);
        Assert.That(made.Get<string>("public_key"), Does.StartWith("whpk_"));
        await _tenant.PostAsync($"/v1/webhooks/{made.Get<string>("id")}/test");
        var received = await receiver.NextAsync();
        Assert.That(received.Signature, Does.StartWith("v1a,"));
        Assert.That(await VerifyAsync(made.Get<string>("public_key"), received), Is.EqualTo("true"));
        Assert.That(await VerifyAsync(made.Get<string>("public_key"), received with { Timestamp = "1" }), Is.EqualTo("false"));

        var rotated = await _tenant.PostAsync($"/v1/webhooks/{made.Get<string>("id")}/rotate-secret");
        await _tenant.PostAsync($"/v1/webhooks/{made.Get<string>("id")}/test");
        var both = await receiver.NextAsync();
        Assert.That(both.Signature.Split(' '), Has.Length.EqualTo(2));
        Assert.That(await VerifyAsync(rotated.Get<string>("public_key"), both), Is.EqualTo("true"));
    }

    [Test]
    public async Task Only_what_was_asked_for_comes_also_by_kind()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "call.*", "recording.ready" } });
        foreach (var type in (string[])["session.completed", "call.queued", "recording.failed", "recording.ready"])
        {
            await _tenant.AnnounceAsync("subject", type);
        }

        Assert.That(new[] { await TypeAsync(receiver), await TypeAsync(receiver) }, Is.EqualTo(new[] { "call.queued", "recording.ready" }));
        Assert.That(receiver.IsEmpty, Is.True);
        Assert.That((await _tenant.GetAsync("/v1/webhooks/event-types")).Body!["data"]!.AsArray().Select(t => t!["type"]!.GetValue<string>()), Does.Contain("webhook.disabled"));
    }

    [Test]
    public async Task A_delivery_is_replayed_with_its_bytes_and_keeps_its_attempts()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var made = await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url });
        await _tenant.AnnounceAsync("call-a");
        var first = await receiver.NextAsync();
        var delivery = (await _tenant.SettledAsync(made.Get<string>("id"), 1))[0]["id"]!.GetValue<string>();

        var replay = await _tenant.PostAsync($"/v1/deliveries/{delivery}/replay");
        Assert.That((replay.Status, replay.Get<string>("status")), Is.EqualTo((HttpStatusCode.Accepted, "pending")));
        var second = await receiver.NextAsync();
        Assert.That((second.Id, second.Body), Is.EqualTo((first.Id, first.Body)));
        Assert.That(second.IsSignedWith(made.Get<string>("secret")), Is.True);
        Assert.That(async () => (await _tenant.GetAsync($"/v1/deliveries/{delivery}")).Body!["log"]!.AsArray().Count, Is.EqualTo(2).After(20_000, 20));
    }

    [Test]
    public async Task A_range_is_replayed_with_what_failed_and_what_was_missed()
    {
        var status = 410;
        await using var receiver = await WebhookReceiver.StartAsync((_, _) => Volatile.Read(ref status));
        var from = TimeProvider.System.GetUtcNow().AddSeconds(-1);
        var webhook = (await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "call.*" } })).Get<string>("id");
        await _tenant.AnnounceAsync("call-a");
        var lost = await receiver.NextAsync();
        Assert.That(async () => (await _tenant.GetAsync($"/v1/webhooks/{webhook}")).Get<string>("status"), Is.EqualTo("disabled").After(20_000, 20));
        await _tenant.AnnounceAsync("call-b");
        await _tenant.AnnounceAsync("call-c", "session.completed");
        var path = $"/v1/webhooks/{webhook}/replay";
        Assert.That((await _tenant.PostAsync(path, new { from })).Code, Is.EqualTo("webhook.disabled"));

        Volatile.Write(ref status, 200);
        await _tenant.PatchAsync($"/v1/webhooks/{webhook}", new { enabled = true });
        var to = TimeProvider.System.GetUtcNow().AddSeconds(1);
        var replay = await _tenant.PostAsync(path, new { from, to });
        Assert.That((replay.Status, replay.Get<long>("count")), Is.EqualTo((HttpStatusCode.Accepted, 2L)), replay.Body?.ToJsonString());
        var (one, two) = (await receiver.NextAsync(), await receiver.NextAsync());
        Assert.That(new[] { one, two }.Select(r => r.Json["subject_id"]!.GetValue<string>()), Is.EquivalentTo(new[] { "call-a", "call-b" }));
        Assert.That(new[] { one, two }.Single(r => r.Id == lost.Id).Body, Is.EqualTo(lost.Body));
        await _tenant.SettledAsync(webhook, 2);

        // Everything has arrived: nothing is missing, and all is all.
        Assert.That((await _tenant.PostAsync(path, new { from, to })).Get<long>("count"), Is.Zero);
        Assert.That((await _tenant.PostAsync(path, new { from, to, status = "all", event_types = new[] { "call.completed" } })).Get<long>("count"), Is.EqualTo(2));
        Assert.That(new[] { (await receiver.NextAsync()).Id, (await receiver.NextAsync()).Id }, Is.EquivalentTo(new[] { one.Id, two.Id }));
        Assert.That((await _tenant.PostAsync(path, new { from = to, to = from })).Fields, Is.EqualTo(new[] { "to" }));
    }

    [Test]
    public async Task A_long_range_is_replayed_in_many_transactions()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        await _host.SqlAsync(
            """
            INSERT INTO tenant.events (id, tenant_id, type, subject_id, sequence, data, created_at)
            SELECT 'evt01' || lpad(i::text, 24, '0'), $1, 'call.completed', 's' || i, 1, '{}', now() FROM generate_series(1, 1700) i
            """, _tenant.TenantId);
        var webhook = (await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url })).Get<string>("id");
        var replay = await _tenant.PostAsync($"/v1/webhooks/{webhook}/replay", new { from = "2000-01-01T00:00:00Z" });
        Assert.That(replay.Get<long>("count"), Is.EqualTo(1700));
        var ids = new HashSet<string>();
        for (var n = 0; n < 1700; n++)
        {
            ids.Add((await receiver.NextAsync()).Id);
        }

        Assert.That(ids, Has.Count.EqualTo(1700));
        Assert.That(async () => await _host.SqlAsync("SELECT count(*) FROM tenant.deliveries WHERE tenant_id = $1 AND status = 'delivered'", _tenant.TenantId), Is.EqualTo(1700L).After(10_000, 50));
        Assert.That(await _host.SqlAsync("SELECT count(*) FROM tenant.replays WHERE tenant_id = $1", _tenant.TenantId), Is.Zero);
    }

    private static async Task<string> TypeAsync(WebhookReceiver receiver) => (await receiver.NextAsync()).Json["type"]!.GetValue<string>();

    /// <summary>By Node's own cryptography, which knows nothing of ours.</summary>
    private static async Task<string> VerifyAsync(string publicKey, Received received)
    {
        const string script =
            """
            const [key, signatures, head, body] = process.argv.slice(1), crypto = require('crypto');
            const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(key.slice(5), 'base64')]);
            const signed = Buffer.concat([Buffer.from(head), Buffer.from(body, 'base64')]);
            const publicKey = crypto.createPublicKey({ key: der, format: 'der', type: 'spki' });
            console.log(signatures.split(' ').some(s => crypto.verify(null, signed, publicKey, Buffer.from(s.slice(4), 'base64'))));
            """;
        using var node = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(
            "node", ["-e", script, publicKey, received.Signature, $"{received.Id}.{received.Timestamp}.", Convert.ToBase64String(received.Body)])
        { RedirectStandardOutput = true, UseShellExecute = false })!;
        var output = await node.StandardOutput.ReadToEndAsync();
        await node.WaitForExitAsync();
        return output.Trim();
    }
}
