namespace VoicePlatform.Tenants.Features;

/// <summary>The operator opens a tenant, whatever KEY_CREATION says.</summary>
internal static class CreateTenant
{
    public static void Map(RouteGroupBuilder tenants) => tenants
        .MapPost("/", async (Body body, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new NewTenant(body.UserName, body.OrgName, body.UserEmail, IsSignUp: false), ct)).ToHttp(r =>
            {
                http.Response.Headers.Location = $"/v1/tenants/{r.TenantId}";
                return TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created);
            }))
        .WithName(nameof(CreateTenant))
        .Produces<NewTenantView>(StatusCodes.Status201Created);

    public sealed record Body(string? UserName, string? OrgName, string? UserEmail);
}
