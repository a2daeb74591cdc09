using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using VoicePlatform.Host;

namespace VoicePlatform.Tests.Architecture;

/// <summary>The routes of the whole host, composed as it is composed in life but not started.</summary>
internal sealed class RouteTests
{
    /// <summary>What may be asked without a key, and why.</summary>
    private static readonly Dictionary<string, string> Anonymous = new()
    {
        ["GET /health"] = "liveness probes have no key",
        ["GET /health/ready"] = "readiness probes have no key",
        ["GET /metrics"] = "scrapers have no key; it tells no names and no ids",
        ["GET /openapi/v1.json"] = "the contract is public",
        ["GET /openapi/compat.json"] = "the contract is public",
        ["POST /auth/create-key"] = "it makes the first key; KEY_CREATION governs it",
        ["POST /livekit/webhook"] = "LiveKit signs it",
        ["POST /telephony/livekit-webhook"] = "LiveKit signs it (seed 001)",
        ["GET /telephony/calls/{callId}"] = "seed 001 had no keys; not there in production",
        ["GET /telephony/calls/by-room/{roomName}"] = "seed 001 had no keys; not there in production",
        ["POST /session"] = "seed 001 had no keys; COMPAT_TENANT governs it",
        ["POST /session/end"] = "seed 001 had no keys; COMPAT_TENANT governs it",
        ["POST /v1/livekit/starter/session/start"] = "seed 000 had no keys; COMPAT_TENANT governs it",
        ["POST /v1/livekit/starter/agent/chat"] = "seed 000 had no keys; COMPAT_TENANT governs it",
        ["GET /v1/livekit/starter/agent-settings/{deviceId}"] = "seed 000 had no keys; COMPAT_TENANT governs it",
        ["PUT /v1/livekit/starter/agent-settings/{deviceId}"] = "seed 000 had no keys; COMPAT_TENANT governs it",
        ["POST /livekit/agent-session"] = "AI_SERVER_SHARED_SECRET is the key (seed 000)",
        ["POST /mcp"] = "any key; the route behind each tool asks for its scope",
        ["GET /mcp"] = "405",
        ["DELETE /mcp"] = "405",
        ["GET /recordings/{token}"] = "the sealed token is the key",
    };

    [Test]
    public async Task Every_route_asks_for_a_key_or_is_known_to_be_open()
    {
        var routes = await RoutesAsync();
        SourceTree.AssertNone(
            routes.Count,
            from route in routes
            where !route.HasScope && !Anonymous.ContainsKey(route.Name)
            select route.Name,
            "These routes answer anybody:");
        Assert.That(Anonymous.Keys.Except(routes.Where(r => !r.HasScope).Select(r => r.Name)), Is.Empty, "The list of open routes names what is no more.");
    }

    [Test]
    public async Task No_two_routes_are_the_same()
    {
        var routes = await RoutesAsync();
        SourceTree.AssertNone(routes.Count, routes.GroupBy(r => r.Name).Where(g => g.Count() > 1).Select(g => g.Key), "These are mapped twice:");
    }

    private static async Task<IReadOnlyList<(string Name, bool HasScope)>> RoutesAsync()
    {
        var data = Directory.CreateTempSubdirectory("vp-routes");
        try
        {
            var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = Environments.Development, ContentRootPath = AppContext.BaseDirectory });
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["DATABASE_URL"] = "Host=127.0.0.1;Database=none",
                ["DATA_DIR"] = data.FullName,
                ["AI_SERVER_SHARED_SECRET"] = "so that its route is there",
            });
            await using var app = StartUp.Build(builder, new Settings(builder.Configuration));
            return (from endpoint in ((IEndpointRouteBuilder)app).DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
                    let hasScope = endpoint.Metadata.OfType<IAuthorizeData>().Any(a => a.Policy is { Length: > 0 }) && !endpoint.Metadata.OfType<IAllowAnonymous>().Any()
                    from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["ANY"]
                    select ($"{method} /{endpoint.RoutePattern.RawText!.Trim('/')}", hasScope)).ToList();
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }
}
