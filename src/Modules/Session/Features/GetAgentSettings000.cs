using System.Text.Json.Nodes;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>Seed 000's settings of a device; one that never put any has none.</summary>
internal static class GetAgentSettings000
{
    public static void Map(RouteGroupBuilder seed) => seed
        .MapGet("/agent-settings/{deviceId}", async (string deviceId, IMediator mediator, CancellationToken ct) =>
            Device000.RefusalOf(deviceId) is { } refusal ? refusal.ToHttp() : (await mediator.Send(new Query(deviceId), ct)).ToHttp(r => Results.Json(r, Json.Options)))
        .WithName(nameof(GetAgentSettings000))
        .Produces<JsonObject>();

    public sealed record Query(string DeviceId) : IRequest<Result<JsonObject>>;

    internal sealed class Handler(SessionDb db, Caller caller) : IRequestHandler<Query, Result<JsonObject>>
    {
        public async Task<Result<JsonObject>> Handle(Query request, CancellationToken cancellationToken)
        {
            var device = await db.Devices.AsNoTracking().SingleOrDefaultAsync(d => d.TenantId == caller.TenantId && d.DeviceId == request.DeviceId, cancellationToken);
            return DeviceSettings.Shown(request.DeviceId, device?.Settings ?? "{}", device?.UpdatedAt);
        }
    }
}
