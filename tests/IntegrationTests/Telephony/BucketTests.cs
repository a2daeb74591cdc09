using System.Net;
using System.Text.Json.Nodes;

namespace VoicePlatform.IntegrationTests.Telephony;

/// <summary>A real call's recording in an object store, and the way back to it.</summary>
[RealTime]
internal sealed class BucketTests
{
    [Test]
    public async Task A_recorded_call_is_kept_in_the_bucket_fetched_by_a_presigned_address_and_removed_when_its_time_is_over_and_nothing_stays_here()
    {
        await using var bucket = await FakeBucket.StartAsync();
        var outside = bucket.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal);
        await using var stage = await PhoneStage.StartAsync(
            null, null,
            ("AWS_ACCESS_KEY_ID", FakeBucket.AccessKey), ("AWS_SECRET_ACCESS_KEY", "bucket-secret"), ("AWS_REGION", FakeBucket.Region),
            ("S3_BUCKET_NAME", FakeBucket.Name), ("S3_ENDPOINT", bucket.Url), ("S3_PUBLIC_ENDPOINT", outside));
        var id = await stage.CallAsync(new { record = true, assistant_overrides = new { retention_days = 1 } });
        await using (var phone = await stage.Phone.NextCallAsync(stage.Patience))
        {
            await stage.HearOutAsync(phone);
            await phone.HangUpAsync();
        }

        var call = await stage.EndedAsync(id);
        JsonNode recording = null!;
        await stage.UntilAsync(
            async () => (recording = (await stage.Tenant.GetAsync($"/v1/calls/{id}/recording")).Body!)["duration_s"] is not null,
            "the recording", () => $"{recording.ToJsonString()} {string.Join(" | ", bucket.Refused)}");
        Assert.That(recording["duration_s"]!.GetValue<double>(), Is.EqualTo(call["duration_s"]!.GetValue<double>()).Within(1.5));

        var url = new Uri(recording["url"]!.GetValue<string>());
        var (path, stored) = bucket.Objects.Single();
        Assert.That((url.GetLeftPart(UriPartial.Path), path), Is.EqualTo(($"{outside}/{path}", $"{FakeBucket.Name}/recordings/{stage.Tenant.TenantId}/{id}.ogg")));
        using var http = new HttpClient();
        var bytes = await http.GetByteArrayAsync(url);
        Assert.That((bytes.Length, bytes[..4]), Is.EqualTo((recording["size"]!.GetValue<int>(), "OggS"u8.ToArray())));
        Assert.That(bytes, Is.EqualTo(stored));
        using var unsigned = await http.GetAsync(new Uri(url.GetLeftPart(UriPartial.Path)));
        Assert.That(unsigned.StatusCode, Is.EqualTo(HttpStatusCode.Forbidden), "the address alone opens nothing");

        JsonNode? ready = null;
        await stage.UntilAsync(
            async () => (ready = (await stage.Tenant.GetAsync("/v1/events")).Body!["data"]!.AsArray().SingleOrDefault(e => e!["type"]!.GetValue<string>() == "recording.ready")) is not null,
            "recording.ready");
        Assert.That(ready!["subject_id"]!.GetValue<string>(), Is.EqualTo(id));
        await stage.UntilAsync(() => Task.FromResult(!LeftOf(stage, id).Any()), "nothing left under DATA_DIR", () => string.Join(", ", LeftOf(stage, id)));
        await stage.AssertMoneyAsync();

        await stage.ForgetAsync(id);
        Assert.That(bucket.Objects, Is.Empty);
    }

    private static IEnumerable<string> LeftOf(PhoneStage stage, string id) => Directory.EnumerateFiles(stage.Host.DataDir, $"*{id}*", SearchOption.AllDirectories);
}
