using System.Net.WebSockets;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using Message = VoicePlatform.LiveKit.Protocol.ServerMessage.MessageOneofCase;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class WorkerTests
{
    private static readonly TokenVerifier Verifier = new(TestServer.Key, TimeProvider.System);

    [Test]
    public async Task A_dispatch_goes_to_a_worker_of_that_name_as_recorded()
    {
        await using var server = await TestServer.StartAsync();
        await using var worker = await WorkerClient.RegisterAsync(server, "tester");
        Assert.That(worker.Registered.WorkerId, Does.StartWith("AW_"));
        Assert.That(worker.Registered.ServerInfo.AgentProtocol, Is.EqualTo(1));
        await using var other = await WorkerClient.RegisterAsync(server, "somebody else");

        var dispatch = await DispatchAsync(server, "job-room", "tester", """{"m":1}""");
        var offered = (await worker.NextAsync(Message.Availability)).Availability.Job;
        Assert.That((offered.AgentName, offered.Metadata, offered.Room.Name, offered.Type), Is.EqualTo(("tester", """{"m":1}""", "job-room", JobType.JtRoom)));
        Assert.That(offered.DispatchId, Is.EqualTo(dispatch));
        await worker.AcceptAsync(offered.Id);

        var assigned = (await worker.NextAsync(Message.Assignment)).Assignment;
        Assert.That(assigned.Job.State.ParticipantIdentity, Is.EqualTo($"agent-{offered.Id}"));
        Assert.That(Verifier.TryVerify(assigned.Token, out var token, out _), Is.True);
        Assert.That((token!.Token.Kind, token.Token.Identity, token.Token.Video!.Room, token.Token.Video.Agent), Is.EqualTo(("agent", $"agent-{offered.Id}", "job-room", true)));
        Assert.That(token.Token.Attributes!["lk.agent_name"], Is.EqualTo("tester"));
        Assert.That(token.Token.Attributes["lk.agent.name"], Is.EqualTo("tester"), "what the worker gave is kept");
        Assert.That(other.Received.Any(m => m.MessageCase is Message.Availability), Is.False);

        await using var agent = await SignalClient.ConnectAsync(server.Server.Port, assigned.Token, new JoinRequest());
        var self = (await agent.NextAsync(SignalResponse.MessageOneofCase.Join)).Join.Participant;
        Assert.That((self.Kind, self.Permission.Agent), Is.EqualTo((ParticipantInfo.Types.Kind.Agent, true)));
        var listed = await server.CallAsync("livekit.AgentDispatchService/ListDispatch", Admin("job-room"), new { room = "job-room" });
        var jobs = listed.GetProperty("agent_dispatches").EnumerateArray().Single(d => d.GetProperty("agent_name").GetString() == "tester").GetProperty("state").GetProperty("jobs");
        Assert.That(jobs[0].GetProperty("state").GetProperty("status").GetString(), Is.EqualTo("JS_RUNNING"));
    }

    [Test]
    public async Task An_unnamed_worker_gets_every_room_that_asks_for_nobody_else()
    {
        await using var server = await TestServer.StartAsync();
        await using var worker = await WorkerClient.RegisterAsync(server, "");
        await server.CallAsync("CreateRoom", new VideoGrant { RoomCreate = true }, new { name = "explicit", agents = new[] { new { agentName = "somebody" } } });
        await server.CallAsync("CreateRoom", new VideoGrant { RoomCreate = true }, new { name = "plain" });
        Assert.That((await worker.NextAsync(Message.Availability)).Availability.Job.Room.Name, Is.EqualTo("plain"));
    }

    [Test]
    public async Task A_dispatch_in_the_joining_token_waits_for_its_worker()
    {
        await using var server = await TestServer.StartAsync();
        await using var caller = await server.JoinAsync("r", "caller", more: t => t with
        {
            RoomConfig = new RoomConfiguration { Agents = { new RoomAgentDispatch { AgentName = "late", Metadata = "m" } } },
        });
        await using var worker = await WorkerClient.RegisterAsync(server, "late");
        Assert.That((await worker.NextAsync(Message.Availability)).Availability.Job.Metadata, Is.EqualTo("m"));
    }

    [Test]
    public async Task The_least_loaded_worker_is_asked_first_a_full_one_not_at_all_and_a_refusal_goes_to_the_next()
    {
        await using var server = await TestServer.StartAsync();
        await using var busy = await WorkerClient.RegisterAsync(server, "a");
        await using var idle = await WorkerClient.RegisterAsync(server, "a");
        await using var full = await WorkerClient.RegisterAsync(server, "a");
        await busy.SendAsync(new WorkerMessage { UpdateWorker = new UpdateWorkerStatus { Status = WorkerStatus.WsAvailable, Load = 0.6f } });
        await idle.SendAsync(new WorkerMessage { UpdateWorker = new UpdateWorkerStatus { Status = WorkerStatus.WsAvailable, Load = 0.1f } });
        await full.SendAsync(new WorkerMessage { UpdateWorker = new UpdateWorkerStatus { Status = WorkerStatus.WsFull } });
        await Task.WhenAll(busy.FlushAsync(), idle.FlushAsync(), full.FlushAsync());

        await DispatchAsync(server, "r", "a", "");
        var job = (await idle.NextAsync(Message.Availability)).Availability.Job.Id;
        Assert.That(busy.Received.Any(m => m.MessageCase is Message.Availability), Is.False);
        await idle.SendAsync(new WorkerMessage { Availability = new AvailabilityResponse { JobId = job, Available = false } });
        Assert.That((await busy.NextAsync(Message.Availability)).Availability.Job.Id, Is.EqualTo(job));
        await busy.AcceptAsync(job);
        await busy.NextAsync(Message.Assignment);
        Assert.That(full.Received.Any(m => m.MessageCase is Message.Availability), Is.False);
    }

    [Test]
    public async Task A_worker_that_does_not_answer_loses_the_job_to_the_next()
    {
        await using var server = await TestServer.StartAsync(o => o with { AvailabilityTimeout = TimeSpan.FromSeconds(2) });
        await using var mute = await WorkerClient.RegisterAsync(server, "a");
        await DispatchAsync(server, "r", "a", "");
        await mute.NextAsync(Message.Availability);
        await using var second = await WorkerClient.RegisterAsync(server, "a");
        await second.SendAsync(new WorkerMessage { UpdateWorker = new UpdateWorkerStatus { Status = WorkerStatus.WsAvailable, Load = 0 } });
        var job = (await second.NextAsync(Message.Availability)).Availability.Job.Id;
        await second.AcceptAsync(job);
        await second.NextAsync(Message.Assignment);
    }

    [Test]
    public async Task A_job_whose_worker_dies_before_the_agent_joined_is_given_to_another()
    {
        await using var server = await TestServer.StartAsync();
        await using var first = await WorkerClient.RegisterAsync(server, "a");
        await DispatchAsync(server, "r", "a", "again");
        var job = (await first.NextAsync(Message.Availability)).Availability.Job.Id;
        await first.AcceptAsync(job);
        await first.NextAsync(Message.Assignment);
        await using var second = await WorkerClient.RegisterAsync(server, "a");
        first.Cut();
        var replacement = (await second.NextAsync(Message.Availability)).Availability.Job;
        Assert.That((replacement.Metadata, replacement.Id), Is.Not.EqualTo(("again", job)));
        Assert.That(replacement.Metadata, Is.EqualTo("again"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task An_agent_that_is_lost_is_replaced_and_one_that_leaves_is_not(bool leaves)
    {
        await using var server = await TestServer.StartAsync(o => o with { ReconnectGrace = TimeSpan.FromMilliseconds(200) });
        await using var caller = await server.JoinAsync("r", "caller");
        await using var worker = await WorkerClient.RegisterAsync(server, "a");
        await DispatchAsync(server, "r", "a", "");
        var job = (await worker.NextAsync(Message.Availability)).Availability.Job.Id;
        await worker.AcceptAsync(job);
        await using var agent = await SignalClient.ConnectAsync(server.Server.Port, (await worker.NextAsync(Message.Assignment)).Assignment.Token, new JoinRequest());
        if (leaves)
        {
            await agent.SendAsync(new SignalRequest { Leave = new LeaveRequest() });
        }
        else
        {
            agent.Cut();
        }

        await caller.UpdateOfAsync($"agent-{job}", p => p.State is ParticipantInfo.Types.State.Disconnected);
        System.Text.Json.JsonElement jobs = default;
        Assert.That(
            async () =>
            {
                var listed = await server.CallAsync("livekit.AgentDispatchService/ListDispatch", Admin("r"), new { room = "r" });
                jobs = listed.GetProperty("agent_dispatches").EnumerateArray().Single(d => d.GetProperty("agent_name").GetString() == "a").GetProperty("state").GetProperty("jobs");
                return jobs[0].GetProperty("state").GetProperty("status").GetString();
            },
            Is.EqualTo(leaves ? "JS_SUCCESS" : "JS_FAILED").After(20_000, 20));
        Assert.That(jobs.GetArrayLength(), Is.EqualTo(leaves ? 1 : 2));
        if (!leaves)
        {
            Assert.That((await worker.NextAsync(Message.Availability)).Availability.Job.Id, Is.Not.EqualTo(job));
        }
    }

    [Test]
    public async Task An_agent_that_joins_anew_goes_on_with_its_job()
    {
        await using var server = await TestServer.StartAsync();
        await using var worker = await WorkerClient.RegisterAsync(server, "a");
        var dispatch = await DispatchAsync(server, "r", "a", "");
        var job = (await worker.NextAsync(Message.Availability)).Availability.Job.Id;
        await worker.AcceptAsync(job);
        var token = (await worker.NextAsync(Message.Assignment)).Assignment.Token;
        await using var agent = await SignalClient.ConnectAsync(server.Server.Port, token, new JoinRequest());
        await agent.NextAsync(SignalResponse.MessageOneofCase.Join);
        await using var anew = await SignalClient.ConnectAsync(server.Server.Port, token, new JoinRequest());
        await anew.NextAsync(SignalResponse.MessageOneofCase.Join);

        await server.CallAsync("livekit.AgentDispatchService/DeleteDispatch", Admin("r"), new { room = "r", dispatchId = dispatch });
        Assert.That((await worker.NextAsync(Message.Termination)).Termination.JobId, Is.EqualTo(job), "it was running until now");
    }

    [Test]
    public async Task Deleting_a_dispatch_or_its_room_terminates_the_job()
    {
        await using var server = await TestServer.StartAsync();
        await using var worker = await WorkerClient.RegisterAsync(server, "a");
        foreach (var byRoom in new[] { false, true })
        {
            var dispatch = await DispatchAsync(server, "r", "a", "");
            var job = (await worker.NextAsync(Message.Availability)).Availability.Job.Id;
            await worker.AcceptAsync(job);
            await worker.NextAsync(Message.Assignment);
            if (byRoom)
            {
                await server.CallAsync("DeleteRoom", new VideoGrant { RoomCreate = true }, new { room = "r" });
            }
            else
            {
                await server.CallAsync("livekit.AgentDispatchService/DeleteDispatch", Admin("r"), new { room = "r", dispatchId = dispatch });
            }

            Assert.That((await worker.NextAsync(Message.Termination)).Termination.JobId, Is.EqualTo(job));
        }
    }

    [Test]
    public async Task A_publisher_or_participant_worker_gets_a_job_for_each_participant()
    {
        await using var server = await TestServer.StartAsync();
        await using var worker = await WorkerClient.RegisterAsync(server, "", JobType.JtParticipant);
        await using var alice = await server.JoinAsync("r", "alice");
        Assert.That((await worker.NextAsync(Message.Availability)).Availability.Job.Participant.Identity, Is.EqualTo("alice"));
        await using var bob = await server.JoinAsync("r", "bob");
        Assert.That((await worker.NextAsync(Message.Availability)).Availability.Job.Participant.Identity, Is.EqualTo("bob"));
    }

    [Test]
    public async Task Malformed_and_unregistered_workers_are_sent_away_and_nobody_else()
    {
        await using var server = await TestServer.StartAsync();
        await using var good = await WorkerClient.RegisterAsync(server, "a");
        var random = new Random(5);
        for (var i = 0; i < 50; i++)
        {
            await using var bad = await WorkerClient.ConnectAsync(server);
            var bytes = new byte[random.Next(1, 40)];
            random.NextBytes(bytes);
            await bad.SendRawAsync(bytes);
        }

        await using var early = await WorkerClient.ConnectAsync(server);
        await early.SendAsync(new WorkerMessage { Ping = new WorkerPing() });
        await early.ClosedAsync();
        Assert.That(early.CloseStatus, Is.EqualTo(WebSocketCloseStatus.PolicyViolation));
        await good.FlushAsync();
    }

    private static VideoGrant Admin(string room) => new() { RoomAdmin = true, Room = room };

    private static async Task<string> DispatchAsync(TestServer server, string room, string agent, string metadata)
    {
        var dispatch = await server.CallAsync("livekit.AgentDispatchService/CreateDispatch", Admin(room), new { room, agentName = agent, metadata });
        Assert.That(dispatch.GetProperty("restart_policy").GetString(), Is.EqualTo("JRP_ON_FAILURE"));
        return dispatch.GetProperty("id").GetString()!;
    }
}
