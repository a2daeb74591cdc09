using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using VoicePlatform.IntegrationTests.Calls;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>A new SECRETS_KEY: the old one opens what it sealed until all of it is sealed anew, and then can go.</summary>
internal sealed class SecretsKeyTests
{
    private const string Old = "the key before, with more than 32 characters";
    private const string New = "the key from now on, with more than 32 characters";

    [Test]
    public async Task Every_secret_is_sealed_with_the_new_key_and_the_old_one_can_go()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        await using var before = await TestHost.StartAsync(("SECRETS_KEY", Old));
        var tenant = await before.SignUpAsync();
        var webhook = await tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "call.completed" } });
        Assert.That(webhook.Status, Is.EqualTo(HttpStatusCode.Created), webhook.Body?.ToJsonString());
        Assert.That((await tenant.PostAsync($"/v1/webhooks/{webhook.Get<string>("id")}/rotate-secret", new { overlap_hours = 1 })).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await before.SendAsync(HttpMethod.Put, "/v1/secrets/CRM_KEY", tenant.Key, new { value = "s3cret" })).Status, Is.EqualTo(HttpStatusCode.Created));
        var tool = await tenant.PostAsync("/v1/tools", new
        {
            name = "look_up", description = "", type = "webhook", webhook = new { url = receiver.Url, headers = new { authorization = "Bearer of-the-tool" } },
        });
        Assert.That(tool.Status, Is.EqualTo(HttpStatusCode.Created), tool.Body?.ToJsonString());
        var trunk = await tenant.PostAsync("/v1/trunks", new
        {
            name = "Line", type = "generic", direction = "outbound", address = "127.0.0.1:5070", numbers = new[] { PhoneBench.From }, auth = new { username = "u", password = "hunter2" },
        });
        Assert.That(trunk.Status, Is.EqualTo(HttpStatusCode.Created), trunk.Body?.ToJsonString());

        await using var rotating = await TestHost.StartAsync(("SECRETS_KEY", New), ("SECRETS_KEY_PREVIOUS", Old), ("DATABASE_URL", before.Database.App));
        Assert.That(await OpenedAsync(before, new SecretBox(New, null)), Is.Zero);
        await rotating.RunJobAsync("platform.reseal-secrets");

        var columns = before.Services.GetServices<SealedColumn>().Count();
        Assert.That(await OpenedAsync(before, new SecretBox(New, null)), Is.GreaterThanOrEqualTo(columns), "a secret of each kind");
        Assert.That(await OpenedAsync(before, new SecretBox(Old, null)), Is.Zero);
        Assert.That(rotating.Log.Lines, Has.Some.Contains("0 cannot be opened with either key"));

        await using var after = await TestHost.StartAsync(("SECRETS_KEY", New), ("DATABASE_URL", before.Database.App));
        await (tenant with { Host = after }).AnnounceAsync("call-a");
        Assert.That((await receiver.NextAsync()).IsSignedWith(webhook.Get<string>("secret")), Is.True, "the secret before signs for an hour more");
    }

    /// <summary>How many secrets a key opens, of all that are kept.</summary>
    private static async Task<int> OpenedAsync(TestHost host, SecretBox box)
    {
        await using var source = NpgsqlDataSource.Create(host.Database.Owner);
        var opened = 0;
        foreach (var column in host.Services.GetServices<SealedColumn>())
        {
            await using var read = source.CreateCommand($"SELECT {column.BelongsTo}, {column.Column} FROM {column.Table} WHERE {column.Column} IS NOT NULL");
            await using var row = await read.ExecuteReaderAsync();
            while (await row.ReadAsync())
            {
                try
                {
                    box.Open(row.GetFieldValue<byte[]>(1), row.GetString(0));
                    opened++;
                }
                catch (System.Security.Cryptography.CryptographicException)
                {
                    // Sealed with the other key.
                }
            }
        }

        return opened;
    }
}
