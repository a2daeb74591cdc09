using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.ServerApi;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.MediaServer;

namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>Recordings of real rooms through LiveKit's Egress API, judged by the sound in the file, as Xiph's own decoder finds it.</summary>
[RealTime]
internal sealed class RecordingTests
{
    private const int Rate = 48_000;
    private const int AgentHz = 440;
    private const int CallerHz = 1_000;

    private static readonly ApiKey Key = new("devkey", "secret-secret-secret-secret-secret");

    private readonly string _folder = Directory.CreateTempSubdirectory("recording").FullName;

    [TearDown]
    public void Remove() => Directory.Delete(_folder, recursive: true);

    [Test]
    public async Task Agent_and_caller_are_recorded_on_channels_of_their_own()
    {
        await using var server = await StartAsync();
        using var http = new HttpClient();
        var api = new LiveKitApi(http, LiveKitServer.Create(server.Url.ToString(), Key), TimeProvider.System);
        var room = server.Rooms.GetOrCreate(new RoomConfiguration(), "talk", out _);
        await using var agent = await Speaker.JoinAsync(room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        var egress = await api.Egress.StartRoomCompositeAsync(OrderOf("talk", "calls/one.ogg", AudioMixing.DualChannelAgent), default);
        Assert.That((await api.Rooms.ListAsync(["talk"], default)).Single().ActiveRecording, Is.True);
        await agent.SpeakAsync(1.5);
        await using (var caller = await Speaker.JoinAsync(room, "caller", ParticipantInfo.Types.Kind.Sip, CallerHz))
        {
            await caller.SpeakAsync(1.5);
        }

        await api.Egress.StopAsync(egress.EgressId, default);
        var ended = await EndedAsync(api, egress.EgressId);

        Assert.That((ended.Status, ended.FileResults.Single().Filename), Is.EqualTo((EgressStatus.EgressComplete, "calls/one.ogg")));
        var (left, right, seconds) = await DecodeAsync(Path.Combine(_folder, "calls/one.ogg"), channels: 2);
        Assert.That(seconds, Is.EqualTo(ended.FileResults[0].Duration / 1e9).Within(0.05));
        Assert.That(seconds, Is.EqualTo(3.0).Within(0.5));
        Assert.That((Tones.Seconds(left, Rate, AgentHz), Tones.Seconds(left, Rate, CallerHz)), Is.EqualTo((1.5, 0.0)).Within(0.15), "seconds of each tone on the left");
        Assert.That((Tones.Seconds(right, Rate, AgentHz), Tones.Seconds(right, Rate, CallerHz)), Is.EqualTo((0.0, 1.5)).Within(0.15), "seconds of each tone on the right");
        Assert.That(() => File.Exists(Path.Combine(_folder, "calls/one.ogg.egress")), Is.False.After(20_000, 20), "nothing is left to be done");
    }

    [Test]
    public async Task Mixed_everybody_is_heard_at_once_and_the_end_of_the_room_ends_the_recording()
    {
        await using var server = await StartAsync();
        using var http = new HttpClient();
        var api = new LiveKitApi(http, LiveKitServer.Create(server.Url.ToString(), Key), TimeProvider.System);
        var room = server.Rooms.GetOrCreate(new RoomConfiguration(), "talk", out _);
        await using var agent = await Speaker.JoinAsync(room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        await using var caller = await Speaker.JoinAsync(room, "caller", ParticipantInfo.Types.Kind.Sip, CallerHz);
        var egress = await api.Egress.StartRoomCompositeAsync(OrderOf("talk", "", AudioMixing.DefaultMixing), default);
        await Task.WhenAll(agent.SpeakAsync(1), caller.SpeakAsync(1));
        await api.Rooms.DeleteAsync("talk", default);
        var file = (await EndedAsync(api, egress.EgressId)).FileResults.Single();

        Assert.That(file.Filename, Does.Match(@"^talk-\d{4}-\d\d-\d\dT\d{6}\.ogg$"));
        var (mono, _, _) = await DecodeAsync(Path.Combine(_folder, file.Filename), channels: 1);
        Assert.That((Tones.Seconds(mono, Rate, AgentHz), Tones.Seconds(mono, Rate, CallerHz)), Is.EqualTo((1.0, 1.0)).Within(0.15));
    }

    [Test]
    public async Task What_a_server_left_is_finished_by_the_next_one()
    {
        string id;
        string path;
        var other = Directory.CreateTempSubdirectory("recording").FullName;
        await using (var server = await StartAsync())
        {
            using var http = new HttpClient();
            var api = new LiveKitApi(http, LiveKitServer.Create(server.Url.ToString(), Key), TimeProvider.System);
            var room = server.Rooms.GetOrCreate(new RoomConfiguration(), "talk", out _);
            await using var agent = await Speaker.JoinAsync(room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
            id = (await api.Egress.StartRoomCompositeAsync(OrderOf("talk", "calls/one.ogg", AudioMixing.DefaultMixing), default)).EgressId;
            await agent.SpeakAsync(3.5);

            // What is on the disk now is what a process that dies now leaves.
            path = Path.Combine(other, "calls");
            Directory.CreateDirectory(path);
            foreach (var file in Directory.GetFiles(Path.Combine(_folder, "calls")))
            {
                File.Copy(file, Path.Combine(path, Path.GetFileName(file)));
            }
        }

        await using var next = await StartAsync(other);
        using var nextHttp = new HttpClient();
        var ended = await EndedAsync(new LiveKitApi(nextHttp, LiveKitServer.Create(next.Url.ToString(), Key), TimeProvider.System), id);

        var (mono, _, seconds) = await DecodeAsync(Path.Combine(path, "one.ogg"), channels: 1);
        Assert.That(seconds, Is.GreaterThan(1.9), "at most a page and what was under way is lost");
        Assert.That(Tones.Seconds(mono, Rate, AgentHz), Is.GreaterThan(1.5));
        Assert.That(ended.FileResults.Single().Duration / 1e9, Is.EqualTo(seconds).Within(0.05));
        Directory.Delete(other, recursive: true);
    }

    [Test]
    public async Task What_belongs_into_a_bucket_is_there_afterwards_and_no_longer_here()
    {
        byte[]? stored = null;
        var (key, authorization) = ("", "");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(System.Net.IPAddress.Loopback, 0));
        await using var storage = builder.Build();
        storage.MapPut("/{bucket}/{**key}", async (string bucket, HttpRequest request) =>
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            (stored, key, authorization) = (body.ToArray(), request.Path.Value!, request.Headers.Authorization.ToString());
            return Results.Ok();
        });
        await storage.StartAsync();
        await using var server = await StartAsync();
        using var http = new HttpClient();
        var api = new LiveKitApi(http, LiveKitServer.Create(server.Url.ToString(), Key), TimeProvider.System);
        var room = server.Rooms.GetOrCreate(new RoomConfiguration(), "talk", out _);
        await using var agent = await Speaker.JoinAsync(room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
        var order = OrderOf("talk", "recordings/one.ogg", AudioMixing.DefaultMixing);
        order.FileOutputs[0].S3 = new S3Upload { AccessKey = "AKIATEST", Secret = "hush", Bucket = "calls", Region = "eu-central-1", Endpoint = storage.Urls.First() };
        var egress = await api.Egress.StartRoomCompositeAsync(order, default);
        await agent.SpeakAsync(1);
        Assert.That(await File.ReadAllTextAsync(Path.Combine(_folder, "recordings/one.ogg.egress")), Does.Not.Contain("hush"), "secrets in a note");
        await api.Egress.StopAsync(egress.EgressId, default);
        var ended = await EndedAsync(api, egress.EgressId);

        Assert.That((ended.Status, key), Is.EqualTo((EgressStatus.EgressComplete, "/calls/recordings/one.ogg")), ended.Error);
        Assert.That(authorization, Does.StartWith("AWS4-HMAC-SHA256 Credential=AKIATEST/").And.Contain("/eu-central-1/s3/aws4_request"));
        Assert.That((stored!.Length, stored[..4]), Is.EqualTo(((int)ended.FileResults.Single().Size, "OggS"u8.ToArray())));
        Assert.That(ended.FileResults[0].Location, Is.EqualTo($"{storage.Urls.First()}/calls/recordings/one.ogg"));
        Assert.That(() => Directory.GetFiles(_folder, "*", SearchOption.AllDirectories), Is.Empty.After(20_000, 20));
    }

    [Test]
    public async Task What_nobody_has_heard_of_is_told_by_the_next_server()
    {
        var folder = Path.Combine(_folder, "calls");
        var told = new List<EgressInfo>();
        var isDeaf = true;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(System.Net.IPAddress.Loopback, 0));
        await using var receiver = builder.Build();
        receiver.MapPost("/", async (HttpRequest request) =>
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            if (isDeaf)
            {
                return Results.StatusCode(StatusCodes.Status503ServiceUnavailable);
            }

            Assert.That(new WebhookReceiver(new TokenVerifier(Key, TimeProvider.System)).TryReceive(body.ToArray(), request.Headers.Authorization.ToString(), out var webhook, out _), Is.True);
            lock (told)
            {
                told.AddRange(webhook!.Event == "egress_ended" ? [webhook.EgressInfo] : []);
            }

            return Results.Ok();
        });
        await receiver.StartAsync();
        string id;
        await using (var server = await StartAsync(webhooks: new Uri(receiver.Urls.First())))
        {
            using var http = new HttpClient();
            var api = new LiveKitApi(http, LiveKitServer.Create(server.Url.ToString(), Key), TimeProvider.System);
            var room = server.Rooms.GetOrCreate(new RoomConfiguration(), "talk", out _);
            await using var agent = await Speaker.JoinAsync(room, "agent", ParticipantInfo.Types.Kind.Agent, AgentHz);
            id = (await api.Egress.StartRoomCompositeAsync(OrderOf("talk", "calls/one.ogg", AudioMixing.DefaultMixing), default)).EgressId;
            await agent.SpeakAsync(1);
            await api.Egress.StopAsync(id, default);
            await EndedAsync(api, id);
        }

        Assert.That(Directory.GetFiles(folder).Select(Path.GetFileName), Is.EquivalentTo(new[] { "one.ogg", "one.ogg.egress" }));
        isDeaf = false;
        await using var next = await StartAsync(webhooks: new Uri(receiver.Urls.First()));
        Assert.That(() => Directory.GetFiles(folder).Select(Path.GetFileName), Is.EqualTo(new[] { "one.ogg" }).After(10_000, 20));
        Assert.That(told.Select(e => (e.EgressId, e.Status, e.Details, e.FileResults.Single().Filename)), Is.EqualTo(new[] { (id, EgressStatus.EgressComplete, "", "calls/one.ogg") }));
    }

    [TestCase("../outside.ogg")]
    [TestCase("/etc/outside.ogg")]
    [TestCase("a//b.ogg")]
    [TestCase("a\0b.ogg")]
    public async Task A_path_that_leads_elsewhere_is_refused(string filepath)
    {
        await using var server = await StartAsync();
        using var http = new HttpClient();
        var api = new LiveKitApi(http, LiveKitServer.Create(server.Url.ToString(), Key), TimeProvider.System);
        server.Rooms.GetOrCreate(new RoomConfiguration(), "talk", out _);
        var refused = Assert.ThrowsAsync<LiveKitApiException>(() => api.Egress.StartRoomCompositeAsync(OrderOf("talk", filepath, AudioMixing.DefaultMixing), default));

        Assert.That(refused!.Code, Is.EqualTo("invalid_argument"));
        Assert.That(Directory.GetFileSystemEntries(_folder), Is.Empty);
    }

    [Test]
    public async Task What_cannot_be_recorded_is_refused_by_name()
    {
        await using var server = await StartAsync();
        using var http = new HttpClient();
        var api = new LiveKitApi(http, LiveKitServer.Create(server.Url.ToString(), Key), TimeProvider.System);
        server.Rooms.GetOrCreate(new RoomConfiguration(), "talk", out _);

        var video = OrderOf("talk", "a.ogg", AudioMixing.DefaultMixing);
        video.AudioOnly = false;
        Assert.That(Refused(video).Message, Does.Contain("audio_only"));
        var mp4 = OrderOf("talk", "a.mp4", AudioMixing.DefaultMixing);
        mp4.FileOutputs[0].FileType = EncodedFileType.Mp4;
        Assert.That(Refused(mp4).Message, Does.Contain("Ogg"));
        Assert.That(Refused(OrderOf("nobody", "a.ogg", AudioMixing.DefaultMixing)).Code, Is.EqualTo("not_found"));

        LiveKitApiException Refused(RoomCompositeEgressRequest order) =>
            Assert.ThrowsAsync<LiveKitApiException>(() => api.Egress.StartRoomCompositeAsync(order, default))!;
    }

    private static RoomCompositeEgressRequest OrderOf(string room, string path, AudioMixing mixing) => new()
    {
        RoomName = room,
        AudioOnly = true,
        AudioMixing = mixing,
        FileOutputs = { new EncodedFileOutput { FileType = EncodedFileType.Ogg, Filepath = path } },
    };

    private static async Task<EgressInfo> EndedAsync(LiveKitApi api, string id)
    {
        EgressInfo? found = null;
        for (var tries = 0; found?.Status is not (EgressStatus.EgressComplete or EgressStatus.EgressFailed); tries++)
        {
            Assert.That(tries, Is.LessThan(100), $"It did not end: {found}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            found = (await api.Egress.ListAsync(new ListEgressRequest { EgressId = id }, default)).SingleOrDefault();
        }

        return found;
    }

    private async Task<EmbeddedServer> StartAsync(string? root = null, Uri? webhooks = null)
    {
        var server = new EmbeddedServer(
            new MediaServerOptions
            {
                ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret },
                Port = 0,
                MediaUdpPort = 0,
                Recordings = new RecordingOptions { Root = root ?? _folder },
                WebhookUrls = webhooks is null ? [] : [webhooks],
                WebhookFlushTimeout = TimeSpan.FromMilliseconds(100),
            },
            TimeProvider.System,
            NullLoggerFactory.Instance);
        await server.StartAsync(CancellationToken.None);
        return server;
    }

    /// <summary>The sound of a file, by a decoder that is not ours.</summary>
    private static async Task<(short[] Left, short[] Right, double Seconds)> DecodeAsync(string path, int channels)
    {
        using var decoder = Process.Start(new ProcessStartInfo("opusdec", ["--quiet", "--force-wav", "--rate", $"{Rate}", "--no-dither", path, "-"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        using var raw = new MemoryStream();
        await decoder.StandardOutput.BaseStream.CopyToAsync(raw);
        await decoder.WaitForExitAsync();
        Assert.That(decoder.ExitCode, Is.Zero, await decoder.StandardError.ReadToEndAsync());
        var bytes = raw.ToArray();
        var header = bytes.AsSpan().IndexOf("data"u8) + 8;
        var samples = MemoryMarshal.Cast<byte, short>(bytes.AsSpan(header, (bytes.Length - header) & ~1)).ToArray();
        var left = samples.Where((_, i) => i % channels == 0).ToArray();
        return (left, channels == 2 ? samples.Where((_, i) => i % 2 == 1).ToArray() : left, (double)left.Length / Rate);
    }
}
